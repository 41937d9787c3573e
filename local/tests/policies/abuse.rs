//! What is kept from abuse by the template and not by code: how much all callers together may ask, and that somebody
//! is told when GitHub's tokens run short.

use std::fs;
use std::path::Path;

/// The part of the template that begins with this line and is indented deeper.
fn part<'a>(template: &'a str, heading: &str) -> Vec<&'a str> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut lines = template.lines().skip_while(|line| line.trim_end() != heading);
    let first = lines.next().unwrap_or_else(|| panic!("template.yaml has no {heading}"));
    lines.take_while(|line| line.trim().is_empty() || depth(line) > depth(first)).map(str::trim).collect()
}

#[test]
fn the_api_is_throttled_and_a_run_on_githubs_tokens_raises_an_alarm() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let template = fs::read_to_string(path).unwrap();
    let api = part(&template, "      DefaultRouteSettings:");
    assert!(api.contains(&"ThrottlingRateLimit: !Ref ThrottlingRateLimit"), "{api:?}");
    assert!(api.contains(&"ThrottlingBurstLimit: !Ref ThrottlingBurstLimit"), "{api:?}");
    for limit in ["  ThrottlingRateLimit:", "  ThrottlingBurstLimit:"] {
        let parameter = part(&template, limit);
        let number = parameter.iter().find_map(|line| line.strip_prefix("Default: ")).unwrap();
        assert!((1..=1000).contains(&number.parse::<u32>().unwrap()), "{limit} {number}");
    }
    let alarm = part(&template, "  OauthTokenRequestsAlarm:");
    assert!(alarm.iter().any(|line| line.contains("OauthTokenRequests")), "{alarm:?}");
    let threshold = alarm.iter().find_map(|line| line.strip_prefix("Threshold: ")).unwrap();
    assert!(threshold.parse::<u32>().unwrap() < 2000, "GitHub grants 2,000 an hour");
}
