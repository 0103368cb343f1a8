//! Names that were probably meant where another was written.

/// How alike two names are, at least, of which one may be a slip of the other.
const ALIKE: f64 = 0.8;
/// By how much less alike than the likeliest name another one may be.
const MARGIN: f64 = 0.05;
/// At most so many names are offered.
const OFFERED: usize = 3;

/// The known names that `name` is probably a slip of, the likeliest first; at most three. Names are compared by what is
/// behind their last `::`, because whole paths of one module are all alike.
pub fn near<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let likeness = |other: &str| strsim::jaro_winkler(last_segment(name), last_segment(other));
    let mut near: Vec<_> =
        known.into_iter().map(|other| (likeness(other), other)).filter(|(it, _)| *it > ALIKE).collect();
    near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let least = near.first().map_or(0.0, |(best, _)| best - MARGIN);
    near.retain(|(likeness, _)| *likeness >= least);
    near.into_iter().map(|(_, other)| other).take(OFFERED).collect()
}

/// `did you mean ..?` with the names that are near, if any is.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let near: Vec<_> = near(name, known).into_iter().map(|near| format!("`{near}`")).collect();
    let (last, others) = near.split_last()?;
    Some(if others.is_empty() {
        format!("did you mean {last}?")
    } else {
        format!("did you mean {} or {last}?", others.join(", "))
    })
}

/// The last segment of a path, after its last `::`.
pub(crate) fn last_segment(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: Option<&str>) {
        let known = ["queues", "jobs::add", "jobs::resize", "other::add", "third::add", "fourth::add"];
        assert_eq!(did_you_mean(name, known).as_deref(), expected, "{name}");
    }

    #[test]
    fn names_that_are_near_are_offered_the_likeliest_first() {
        check("queue", Some("did you mean `queues`?"));
        check("jobs::resise", Some("did you mean `jobs::resize`?"));
        check("jobs::elsewhere", None);
        check("addd", Some("did you mean `jobs::add`, `other::add` or `third::add`?"));
        check("zzz", None);
    }
}
