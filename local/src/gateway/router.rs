//! Which route a request takes: as API Gateway, the most specific path, then the method itself before `ANY`.
//! A route's handler is found here too, so that a matched request cannot lack one.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use http::Method;
use percent_encoding::percent_decode_str;

use super::{GatewayError, Handler};
use crate::template::Route;

/// All routes, one tree of paths per method.
pub(super) struct Router {
    trees: HashMap<String, matchit::Router<usize>>,
    targets: Vec<(Route, Handler)>,
}

/// The route of a request.
pub(super) struct Matched<'a> {
    pub(super) route: &'a Route,
    pub(super) handler: &'a Handler,
    /// The path's parameters as they were sent, percent-encoded.
    encoded: Vec<(String, String)>,
}

impl Router {
    pub(super) fn new(
        routes: &[Route],
        mut handlers: HashMap<String, Handler>,
    ) -> Result<Self, GatewayError> {
        let mut trees: HashMap<String, matchit::Router<usize>> = HashMap::new();
        let mut targets = Vec::with_capacity(routes.len());
        for route in routes {
            let handler = handlers.get(&route.function).ok_or_else(|| GatewayError::NoHandler {
                route: route.key(),
                function: route.function.clone(),
            })?;
            let tree = trees.entry(route.method.clone()).or_default();
            tree.insert(pattern(&route.path), targets.len())
                .map_err(|error| GatewayError::Route { route: route.key(), problem: error.to_string() })?;
            targets.push((route.clone(), handler.clone()));
        }
        handlers.retain(|function, _| !routes.iter().any(|route| route.function == *function));
        match handlers.into_keys().min() {
            Some(function) => Err(GatewayError::NoRoute(function)),
            None => Ok(Self { trees, targets }),
        }
    }

    /// The route for this method and path, the path as it was sent.
    pub(super) fn find(&self, method: &Method, path: &str) -> Option<Matched<'_>> {
        let found = [method.as_str(), "ANY"]
            .into_iter()
            .filter_map(|method| self.trees.get(method))
            .find_map(|tree| tree.at(path).ok())?;
        let (route, handler) = self.targets.get(*found.value)?;
        let encoded = found.params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Some(Matched { route, handler, encoded })
    }
}

impl Matched<'_> {
    /// The path's parameters, decoded; `None` when one is not UTF-8.
    pub(super) fn parameters(&self) -> Option<BTreeMap<&str, String>> {
        self.encoded
            .iter()
            .map(|(name, value)| {
                Some((name.as_str(), percent_decode_str(value).decode_utf8().ok()?.into_owned()))
            })
            .collect()
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.targets.iter().map(|(route, _)| route)).finish()
    }
}

/// API Gateway's `{name+}` is the tree's `{*name}`.
fn pattern(path: &str) -> String {
    match path.strip_suffix("+}").and_then(|rest| rest.rsplit_once('{')) {
        Some((before, name)) => format!("{before}{{*{name}}}"),
        None => path.to_owned(),
    }
}
