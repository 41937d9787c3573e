//! Bytes as lower-case hexadecimal digits, as GitHub's ETags and our own have them.

/// Two digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::hex;

    #[test]
    fn each_byte_has_two_digits() {
        assert_eq!(hex(&[0, 9, 159, 255]), "00099fff");
        assert_eq!(hex(&[]), "");
    }
}
