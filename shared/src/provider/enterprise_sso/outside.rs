//! Names out of an issuer's document that are not the issuer's own: whoever wrote the document chooses where they lead, so
//! what they resolve to is checked, and the checked address is the one that is connected to (reference 4, point 4).

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::Issuer;

/// Gives the addresses of a name; it may take its time.
pub(super) type LookUp = Arc<dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync>;

/// The system's addresses of a name.
pub(super) fn system() -> LookUp {
    Arc::new(|name| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect()))
}

/// Resolves names for calls that lead away from an issuer.
pub(super) struct OutsideOf {
    issuer: String,
    look_up: LookUp,
}

// By hand: a function has no text.
impl fmt::Debug for OutsideOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutsideOf").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl OutsideOf {
    pub(super) fn new(issuer: &Issuer, look_up: LookUp) -> Self {
        Self { issuer: issuer.url().host_str().unwrap_or_default().to_owned(), look_up }
    }

    /// The addresses of a name, if every one of them may be called. An issuer that the operator has put into a network
    /// of their own may name others there; this machine and what the cloud serves beside it nobody may name.
    fn permitted(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let addresses = (self.look_up)(name)?;
        let furthest = addresses.iter().copied().map(reach).max().unwrap_or(Reach::Everybody);
        let refused = match furthest {
            Reach::Everybody => false,
            Reach::Network => !self.is_issuer_inside(),
            Reach::Nobody => true,
        };
        if refused {
            tracing::error!("a name in the issuer's document leads to an address that may not be called");
            return Err(io::Error::from(io::ErrorKind::PermissionDenied));
        }
        Ok(addresses)
    }

    fn is_issuer_inside(&self) -> bool {
        let text = self.issuer.trim_start_matches('[').trim_end_matches(']');
        let addresses = match text.parse() {
            Ok(address) => Ok(vec![address]),
            Err(_) => (self.look_up)(&self.issuer),
        };
        addresses.is_ok_and(|addresses| addresses.into_iter().any(|address| reach(address) == Reach::Network))
    }
}

impl Resolve for OutsideOf {
    fn resolve(&self, name: Name) -> Resolving {
        let own = Self { issuer: self.issuer.clone(), look_up: self.look_up.clone() };
        Box::pin(async move {
            let found = tokio::task::spawn_blocking(move || own.permitted(name.as_str())).await??;
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// From where an address is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// From anywhere.
    Everybody,
    /// From within a network of somebody's own.
    Network,
    /// This machine, its link (where clouds serve credentials), or no machine at all.
    Nobody,
}

fn reach(address: IpAddr) -> Reach {
    match address.to_canonical() {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

/// IANA's registry of special-purpose addresses (RFC 6890).
fn reach_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        [0 | 127 | 224..=255, ..] | [169, 254, ..] => Reach::Nobody,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18..=19, ..] => {
            Reach::Network
        }
        [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Reach::Nobody,
        _ => Reach::Everybody,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        reach_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // AWS's services beside a machine, the one with its credentials among them.
        [0xfd00, 0xec2, ..] => Reach::Nobody,
        [0xfc00..=0xfdff, ..] => Reach::Network,
        // Translated to IPv4 on the way: NAT64 and 6to4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        [0x2001, 0 | 0xdb8, ..] | [0x64, 0xff9b, ..] => Reach::Nobody,
        // All that is given out to be reached from anywhere.
        [0x2000..=0x3fff, ..] => Reach::Everybody,
        _ => Reach::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_leads_to_this_machine_or_into_a_network_is_told_from_what_anybody_reaches() {
        for (expected, texts) in [
            (
                Reach::Everybody,
                &[
                    "1.1.1.1",
                    "9.255.255.255",
                    "11.0.0.0",
                    "126.255.255.255",
                    "169.253.255.255",
                    "172.15.0.1",
                    "172.32.0.1",
                    "192.167.1.1",
                    "100.63.255.255",
                    "100.128.0.0",
                    "223.255.255.255",
                    "::ffff:8.8.8.8",
                    "2606:4700::1111",
                    "64:ff9b::808:808",
                    "2002:808:808::1",
                ][..],
            ),
            (
                Reach::Network,
                &[
                    "10.0.0.1",
                    "172.16.0.1",
                    "172.31.255.255",
                    "192.168.0.1",
                    "100.64.0.1",
                    "100.127.255.255",
                    "198.18.0.1",
                    "::ffff:10.0.0.1",
                    "fc00::1",
                    "fdff::1",
                    "64:ff9b::a00:1",
                    "2002:a00:1::1",
                ],
            ),
            (
                Reach::Nobody,
                &[
                    "0.0.0.0",
                    "0.1.2.3",
                    "127.0.0.1",
                    "127.255.255.255",
                    "169.254.169.254",
                    "169.254.170.2",
                    "224.0.0.1",
                    "240.0.0.1",
                    "255.255.255.255",
                    "192.0.0.170",
                    "192.0.2.1",
                    "198.51.100.1",
                    "203.0.113.1",
                    "::",
                    "::1",
                    "::7f00:1",
                    "::ffff:127.0.0.1",
                    "::ffff:169.254.169.254",
                    "fe80::1",
                    "febf::1",
                    "fec0::1",
                    "ff02::1",
                    "fd00:ec2::254",
                    "2001:db8::1",
                    "2001::1",
                    "64:ff9b::a9fe:a9fe",
                    "64:ff9b:1::1",
                    "2002:7f00:1::1",
                ],
            ),
        ] {
            for text in texts {
                assert_eq!(reach(address(text)), expected, "{text}");
            }
        }
    }

    fn outside_of(issuer: &str) -> OutsideOf {
        let look_up: LookUp = Arc::new(|name| {
            Ok(match name {
                "public.example" => vec![address("93.184.215.14"), address("2606:2800::1")],
                "inside.example" => vec![address("10.1.2.3")],
                "both.example" => vec![address("93.184.215.14"), address("10.1.2.3")],
                "metadata.example" => vec![address("169.254.169.254")],
                "rebound.example" => vec![address("93.184.215.14"), address("127.0.0.1")],
                _ => return Err(io::Error::from(io::ErrorKind::NotFound)),
            })
        });
        OutsideOf::new(&issuer.parse().unwrap(), look_up)
    }

    #[test]
    fn a_public_issuer_leads_to_public_addresses_only_and_one_inside_a_network_also_there() {
        for (issuer, name, permitted) in [
            ("https://public.example", "public.example", true),
            ("https://public.example", "inside.example", false),
            ("https://public.example", "both.example", false),
            ("https://public.example", "metadata.example", false),
            ("https://public.example", "rebound.example", false),
            ("https://public.example", "unknown.example", false),
            ("https://93.184.215.14", "inside.example", false),
            ("https://unknown.example", "inside.example", false),
            ("https://inside.example", "public.example", true),
            ("https://inside.example/realms/a", "both.example", true),
            ("https://10.0.0.1:8443", "inside.example", true),
            ("https://[fd12::1]", "inside.example", true),
            ("https://inside.example", "metadata.example", false),
            ("https://inside.example", "rebound.example", false),
            ("http://127.0.0.1:9000", "inside.example", false),
        ] {
            assert_eq!(outside_of(issuer).permitted(name).is_ok(), permitted, "{issuer} {name}");
        }
    }

    #[tokio::test]
    async fn who_connects_is_given_the_addresses_that_were_checked() {
        let resolved = async |name: &str| {
            let found = outside_of("https://public.example").resolve(name.parse().unwrap()).await;
            found.map(|found| found.map(|address| address.ip()).collect::<Vec<_>>()).ok()
        };
        let public = vec![address("93.184.215.14"), address("2606:2800::1")];
        assert_eq!(resolved("public.example").await, Some(public));
        assert_eq!(resolved("rebound.example").await, None);
    }
}
