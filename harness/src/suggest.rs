//! "Did you mean …?"

/// The candidate that `given` is most likely a slip of, if one is near enough.
pub fn closest<'a>(given: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let same = |c: char| {
        if c == '_' {
            '-'
        } else {
            c.to_ascii_lowercase()
        }
    };
    // No name is that long, and comparing takes the product of both lengths.
    if given.len() > 64 {
        return None;
    }
    let given: String = given.chars().map(same).collect();
    candidates
        .map(|candidate| {
            let plain: String = candidate.chars().map(same).collect();
            (strsim::damerau_levenshtein(&given, &plain), candidate)
        })
        // A third of the letters may be wrong; in a name of three letters or less, one.
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().div_ceil(3).min(4))
        // Letters change places more often than one is left out.
        .min_by_key(|(distance, candidate)| (*distance, candidate.len().abs_diff(given.len())))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn near_and_far() {
        assert_eq!(closest("cpsu", ["cpu", "cpus"].into_iter()), Some("cpus"));
        let kinds = || ["nvme", "virtio-blk", "virtio-scsi"].into_iter();
        assert_eq!(closest("nvm", kinds()), Some("nvme"));
        assert_eq!(closest("VIRTIO_BLK", kinds()), Some("virtio-blk"));
        assert_eq!(closest("virtoi-scsi", kinds()), Some("virtio-scsi"));
        assert_eq!(closest("floppy", kinds()), None);
        assert_eq!(closest(&"nvme".repeat(1 << 20), kinds()), None);
    }
}
