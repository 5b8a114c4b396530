//! The patterns that hold a text, or another pattern: few, because names have few labels and paths few segments.

use super::read::{Read, is_plain_segment};
use super::{DomainPattern, HostPattern, PathPrefix, ResourcePattern, SinkPattern};
use crate::model::spiffe_pattern::Reach;

/// Of a value of a sink.
pub(super) fn of_value(text: &str) -> Vec<SinkPattern> {
    let read = Read::of(text);
    let domain = |name: &str| DomainPattern { name: name.to_owned(), below: false };
    let mut out = Vec::new();
    if let Some(name) = read.domain() {
        out.push(SinkPattern::Domain(domain(name)));
        out.extend(above(name).map(SinkPattern::Domain));
    }
    if let Some((name, port)) = read.host() {
        out.push(SinkPattern::Host(HostPattern { domain: domain(name), port }));
        out.extend(above(name).map(|domain| SinkPattern::Host(HostPattern { domain, port })));
    }
    out.push(SinkPattern::PathPrefix(PathPrefix(text.to_owned())));
    out.extend(folders(text).map(|folder| SinkPattern::PathPrefix(PathPrefix(folder.to_owned()))));
    out
}

/// Of a pattern of values.
pub(super) fn of_pattern(pattern: &SinkPattern) -> Vec<SinkPattern> {
    match pattern {
        SinkPattern::Domain(own) => above(&own.name).map(SinkPattern::Domain).collect(),
        SinkPattern::Host(HostPattern { domain, port }) => {
            above(&domain.name).map(|domain| SinkPattern::Host(HostPattern { domain, port: *port })).collect()
        }
        SinkPattern::PathPrefix(own) => {
            folders(&own.0).map(|folder| SinkPattern::PathPrefix(PathPrefix(folder.to_owned()))).collect()
        }
        SinkPattern::AccountSet(_) => Vec::new(),
    }
}

/// Of a resource.
pub(super) fn of_resource(text: &str) -> Vec<ResourcePattern> {
    let parent = prefixes(text).next().map(|parent| resources(parent, Reach::OneSegment));
    parent.into_iter().chain(prefixes(text).map(|prefix| resources(prefix, Reach::AnyDepth))).collect()
}

/// Of a pattern of resources.
pub(super) fn of_resources(pattern: &ResourcePattern) -> Vec<ResourcePattern> {
    let own = match pattern.reach {
        Reach::Exact => return of_resource(&pattern.prefix),
        Reach::OneSegment => Some(resources(&pattern.prefix, Reach::AnyDepth)),
        Reach::AnyDepth => None,
    };
    own.into_iter().chain(prefixes(&pattern.prefix).map(|prefix| resources(prefix, Reach::AnyDepth))).collect()
}

fn resources(prefix: &str, reach: Reach) -> ResourcePattern {
    ResourcePattern { prefix: prefix.to_owned(), reach }
}

/// All names below each name that it ends in.
fn above(name: &str) -> impl Iterator<Item = DomainPattern> {
    let names = std::iter::successors(Some(name), |name| Some(name.split_once('.')?.1)).skip(1);
    names.map(|name| DomainPattern { name: name.to_owned(), below: true })
}

/// What stands before the last segment, before the last two, and so on, as long as these are read in one way.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| {
        let (before, segment) = path.rsplit_once('/')?;
        is_plain_segment(segment).then_some(before)
    })
    .skip(1)
}

fn folders(path: &str) -> impl Iterator<Item = &str> {
    prefixes(path).map(|folder| if folder.is_empty() { "/" } else { folder })
}
