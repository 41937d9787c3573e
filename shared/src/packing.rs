//! Texts made small (gzip), and back: for items of the table, which are bounded, and for answers.
//! What is packed, and how hard, is its owner's business.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// What an item may hold of packed text: DynamoDB's items hold 400 kB in all.
const LARGEST: usize = 350 * 1024;
/// What unpacks to more was not packed here: no more is read from a host.
const LARGEST_UNPACKED: u64 = 16 * 1024 * 1024;

/// The text as gzip.
pub(crate) fn gzip(text: &[u8], level: Compression) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(text).ok()?;
    encoder.finish().ok()
}

/// The text for an item; `None` where it does not get small enough for one.
pub(crate) fn packed(text: &[u8]) -> Option<Vec<u8>> {
    gzip(text, Compression::fast()).filter(|packed| packed.len() <= LARGEST)
}

/// The text of an item again; `None` for what was not packed so.
pub(crate) fn unpacked(packed: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let read = GzDecoder::new(packed).take(LARGEST_UNPACKED + 1).read_to_end(&mut text).ok()?;
    (u64::try_from(read).ok()? <= LARGEST_UNPACKED).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_packed_comes_back_and_what_is_too_large_for_an_item_is_not_packed() {
        let text = "octo-org/octo-repo ".repeat(10_000);
        let small = packed(text.as_bytes()).unwrap();
        assert!(small.len() < text.len() / 50, "{}", small.len());
        assert_eq!(unpacked(&small).unwrap(), text.as_bytes());
        assert_eq!(unpacked(b"no gzip"), None);
        assert_eq!(unpacked(&small[..small.len() / 2]), None);
        // Nothing that could be made small.
        let mut state = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .take(LARGEST + 1)
        .collect();
        assert_eq!(packed(&noise), None);
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let bomb = packed(&vec![0; usize::try_from(LARGEST_UNPACKED).unwrap() + 1]).unwrap();
        assert_eq!(unpacked(&bomb), None);
    }

    proptest! {
        #[test]
        fn every_text_comes_back_and_a_cut_one_does_not(
            text in proptest::collection::vec(any::<u8>(), 0..3000),
            cut in any::<proptest::sample::Index>(),
        ) {
            let small = packed(&text).unwrap();
            let cut = cut.index(small.len());
            prop_assert_eq!(unpacked(&small[..cut]), None);
            prop_assert_eq!(unpacked(&small), Some(text));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), gzip in any::<bool>()) {
            let head: &[u8] = if gzip { &[0x1f, 0x8b, 8, 0] } else { &[] };
            let _ = unpacked(&[head, &bytes].concat());
        }
    }
}
