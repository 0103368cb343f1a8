//! Suggestions for misspelled names.

/// The least similarity of two names, from 0 to 1, for one to be a suggestion for the other.
const MIN_SIMILARITY: f64 = 0.8;
/// How much less similar than the best suggestion another suggestion may be.
const MARGIN: f64 = 0.05;
/// The most suggestions.
const MAX_SUGGESTIONS: usize = 3;

/// Returns the known names that `name` is probably a misspelling of, the most similar first; at most three.
///
/// Compares the last segments of paths alone, because all full paths of one module are similar.
pub fn near<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    near_of(name, &known.into_iter().collect::<Vec<_>>())
}

// These functions take a slice, so that they are compiled once and not for each kind of iterator.

fn near_of<'a>(name: &str, known: &[&'a str]) -> Vec<&'a str> {
    let similarity = |other: &str| strsim::jaro_winkler(last_segment(name), last_segment(other));
    let scored = known.iter().map(|other| (similarity(other), *other));
    let mut near: Vec<_> = scored.filter(|(similarity, _)| *similarity > MIN_SIMILARITY).collect();
    near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let least = near.first().map_or(0.0, |(best, _)| best - MARGIN);
    near.retain(|(similarity, _)| *similarity >= least);
    near.into_iter().map(|(_, other)| other).take(MAX_SUGGESTIONS).collect()
}

/// Returns `did you mean ..?` with the suggestions for `name`, if there are any.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    did_you_mean_of(name, &known.into_iter().collect::<Vec<_>>())
}

fn did_you_mean_of(name: &str, known: &[&str]) -> Option<String> {
    let near: Vec<_> = near_of(name, known).into_iter().map(|near| format!("`{near}`")).collect();
    let (last, others) = near.split_last()?;
    Some(if others.is_empty() {
        format!("did you mean {last}?")
    } else {
        format!("did you mean {} or {last}?", others.join(", "))
    })
}

/// Returns `did you mean ..?`, or the list of the known names if there is no suggestion.
pub(crate) fn suggest_or_list<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    suggest_or_list_of(name, known.into_iter().collect())
}

fn suggest_or_list_of(name: &str, mut names: Vec<&str>) -> String {
    if let Some(question) = did_you_mean_of(name, &names) {
        return question;
    }
    names.sort_unstable();
    if names.is_empty() { "no name is known here".to_owned() } else { format!("known names: {}", names.join(", ")) }
}

/// Returns the part of a path after its last `::`.
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
    fn similar_names_are_suggested_the_most_similar_first() {
        check("queue", Some("did you mean `queues`?"));
        check("jobs::resise", Some("did you mean `jobs::resize`?"));
        check("jobs::elsewhere", None);
        check("addd", Some("did you mean `jobs::add`, `other::add` or `third::add`?"));
        check("zzz", None);
    }

    #[test]
    fn the_known_names_are_listed_without_a_suggestion() {
        let check = |name: &str, expected: &str| {
            assert_eq!(suggest_or_list(name, ["concurrency", "queues", "max_retries"]), expected, "{name}");
        };
        check("concurency", "did you mean `concurrency`?");
        check("max_retrys", "did you mean `max_retries`?");
        check("queue", "did you mean `queues`?");
        check("zzz", "known names: concurrency, max_retries, queues");
        assert_eq!(suggest_or_list("x", []), "no name is known here");
    }
}
