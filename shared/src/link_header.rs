//! Reading `Link` headers (RFC 8288): the target of a relation, and numbers in its query.
//! Our own reader, because the library for it brings a regular-expression engine into every function.

/// The target of the first link of that relation. What comes before something unreadable is still read.
#[must_use]
pub fn target<'a>(header: &'a str, relation: &str) -> Option<&'a str> {
    let mut rest = header;
    loop {
        let (target, parameters) =
            rest.trim_start_matches([' ', '\t', ',']).strip_prefix('<')?.split_once('>')?;
        let (is_of_relation, after) = has_relation(parameters, relation)?;
        if is_of_relation {
            return Some(target);
        }
        rest = after;
    }
}

/// The value of a parameter in a target's query.
#[must_use]
pub fn parameter(target: &str, name: &str) -> Option<String> {
    let (_, query) = target.split('#').next()?.split_once('?')?;
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Whether the parameters of one link hold the relation, and what follows the link. `rel` counts once and
/// may name several relations (RFC 8288, 3.3).
fn has_relation<'a>(parameters: &'a str, relation: &str) -> Option<(bool, &'a str)> {
    let mut rest = parameters.trim_start();
    let mut found = None;
    while let Some(parameter) = rest.strip_prefix(';') {
        let parameter = parameter.trim_start();
        let name_end = parameter.find(['=', ';', ',']).unwrap_or(parameter.len());
        let (name, after) = parameter.split_at(name_end);
        let (value, after) = match after.strip_prefix('=') {
            None => ("", after),
            Some(value) => match value.trim_start().strip_prefix('"') {
                // A quoted comma or semicolon separates nothing. Relations hold no quoted pairs.
                Some(quoted) => quoted.split_once('"')?,
                None => value.split_at(value.find([';', ',']).unwrap_or(value.len())),
            },
        };
        if name.trim_end().eq_ignore_ascii_case("rel") && found.is_none() {
            found = Some(value.split_ascii_whitespace().any(|one| one.eq_ignore_ascii_case(relation)));
        }
        rest = after.trim_start();
    }
    Some((found.unwrap_or(false), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_relation_has_its_target_in_a_header_of_several_links() {
        let header = r#"<https://a.example/?page=1>; rel="prev", <https://a.example/?page=3>; rel="next""#;
        assert_eq!(target(header, "prev"), Some("https://a.example/?page=1"));
        assert_eq!(target(header, "next"), Some("https://a.example/?page=3"));
        assert_eq!(target(header, "last"), None);
    }

    #[test]
    fn the_forms_of_rfc_8288_are_read() {
        for header in [
            "<x>; rel=next",
            "<x>;rel=\"next\"",
            "<x> ; REL = \"next\"",
            "<x>; rel=\"prev next\"",
            "<x>; title=\"a, b; <y>; rel=prev\"; rel=next",
            "<x>; rel=next; rel=prev",
            ", ,<x>; rel=\"NEXT\"",
            "<y>; rel=prev, <x>; anchor; rel=next, garbage",
        ] {
            assert_eq!(target(header, "next"), Some("x"), "{header}");
        }
    }

    #[test]
    fn what_cannot_be_read_has_no_target() {
        for header in ["", "x", "<x", "<x>", "<x>; rel", "<x>; rel=\"next", "<x>; title=next", "x>; rel=next"]
        {
            assert_eq!(target(header, "next"), None, "{header}");
        }
    }

    #[test]
    fn parameters_are_read_from_the_query_only_and_decoded() {
        assert_eq!(parameter("https://a.example/page=1?page=2&x=%20y#?page=3", "page").as_deref(), Some("2"));
        assert_eq!(parameter("?x=%20y", "x").as_deref(), Some(" y"));
        assert_eq!(parameter("https://a.example/", "page"), None);
    }

    proptest! {
        #[test]
        fn any_list_of_links_is_read_back(
            links in proptest::collection::vec(("[a-z0-9/?&=:.]{0,12}", "[a-z]{1,6}", any::<bool>()), 1..6),
        ) {
            let header: Vec<String> = links
                .iter()
                .map(|(target, relation, quoted)| {
                    let quote = if *quoted { "\"" } else { "" };
                    format!("<{target}>; rel={quote}{relation}{quote}")
                })
                .collect();
            let header = header.join(", ");
            for (_, relation, _) in &links {
                let first = links.iter().find(|(_, other, _)| other == relation).map(|(found, ..)| found.as_str());
                prop_assert_eq!(target(&header, relation), first);
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(header in "[<>;,=\" a-zé]{0,40}|.*", relation in ".{0,4}") {
            if let Some(target) = target(&header, &relation) {
                let _ = parameter(target, "page");
            }
        }
    }
}
