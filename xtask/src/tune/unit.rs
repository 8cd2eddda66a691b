//! Units: the convolutions that a search moves together, as fine as there is time to measure them.

use std::collections::{BTreeMap, BTreeSet};

use crate::parts::{block, folder};

/// How finely convolutions are told apart, the finest first.
pub(super) const LEVELS: [fn(&str) -> &str; 3] = [|name| name, half, block];

/// The convolutions that share a `level` of their names, each set once and in the order of their names.
pub(super) fn units(convolutions: &[String], level: fn(&str) -> &str) -> Vec<BTreeSet<String>> {
    let mut units: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for name in convolutions {
        units.entry(level(name)).or_default().insert(name.clone());
    }
    units.into_values().collect()
}

/// The half of a residual block: `/a/resblocks.0/convs1` of `/a/resblocks.0/convs1.2/Conv`.
fn half(name: &str) -> &str {
    let folder = folder(name);
    let (list, index) = folder.rsplit_once('.').unwrap_or((folder, ""));
    if !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()) { list } else { folder }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_is_coarser() {
        let names =
            ["/g/r.0/c1.0/Conv", "/g/r.0/c1.1/Conv", "/g/r.0/c2.0/Conv", "/g/r.1/c1.0/Conv", "/h/Conv", "x"];
        let names = names.map(str::to_owned);
        let sizes = LEVELS.map(|level| units(&names, level).iter().map(BTreeSet::len).collect::<Vec<_>>());
        assert_eq!(sizes, [vec![1; 6], vec![1, 2, 1, 1, 1], vec![2, 3, 1]]);
        assert_eq!(half("/g/r.0/c1.x/Conv"), "/g/r.0/c1.x");
    }
}
