//! What is shown to people fits into what their clients take: in lists long words are shortened, a page ends early, and of one approval
//! what is least needed is left out, and said to be.

use crate::pb::{encoded_len, v1};

/// Largest answer: gRPC clients take 4 MiB unless they are told otherwise, and its frame needs some bytes.
const ANSWER_BYTES_MAX: usize = 3 << 20;
/// Longest word of a list: an address, a URL, an account. What is longer is to be looked at whole.
const LISTED_BYTES_MAX: usize = 256;
/// Most doubts that a list shows of one approval.
const LISTED_DOUBTS_MAX: usize = 16;
/// Most bytes that the frame of one member of a list takes: its tag and its length.
const FRAME_BYTES_MAX: usize = 6;
/// What a shortened answer shows of each list, and of each word in it.
const LEFT_MAX: usize = 64;
const LEFT_BYTES_MAX: usize = 1 << 10;

type LeaveOut = fn(&mut v1::GetApprovalResponse);

/// A word as a list shows it.
pub(in crate::broker) fn in_a_list(text: &str) -> String {
    cut(text, LISTED_BYTES_MAX)
}

/// Doubts as a list shows them.
pub(in crate::broker) fn doubts_in_a_list(doubts: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let more = doubts.len().saturating_sub(LISTED_DOUBTS_MAX);
    let mut shown: Vec<String> = doubts.take(LISTED_DOUBTS_MAX).map(|doubt| in_a_list(&doubt)).collect();
    shown.extend((more > 0).then(|| format!("and {more} more")));
    shown
}

/// The beginning of a text that is too long, and how much more there is of it.
fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= bytes_max).last();
    let shown = text.get(..end.unwrap_or_default()).unwrap_or_default();
    format!("{shown}… and {} bytes more", text.len() - shown.len())
}

/// How many of them one page holds: at least one, where there is one.
pub(in crate::broker) fn of_one_page(approvals: &[v1::Approval]) -> usize {
    let mut bytes = 0;
    let fits = |approval: &&v1::Approval| {
        bytes += encoded_len(*approval) + FRAME_BYTES_MAX;
        bytes <= ANSWER_BYTES_MAX
    };
    approvals.iter().take_while(fits).count().max(1).min(approvals.len())
}

/// Leaves out of an approval what it takes to fit, the least needed first, and says what. The record of the decision has all of it.
pub(in crate::broker) fn fitted(mut shown: v1::GetApprovalResponse) -> v1::GetApprovalResponse {
    let steps: [(&str, LeaveOut); 5] = [
        // They are there for machines, and say once more what the rest says.
        ("record.facts_json", |shown| of_record(shown, |record| record.facts_json.clear())),
        ("would_cover", |shown| shown.would_cover.iter_mut().for_each(|access| access.arguments_json.clear())),
        ("record.aftermath", |shown| of_record(shown, |record| record.aftermath.clear())),
        ("record.amendment", |shown| {
            of_record(shown, |record| {
                if let Some(amendment) = &mut record.amendment {
                    shorten(&mut amendment.adds);
                    shorten(&mut amendment.takes);
                }
            });
        }),
        ("record.reasons", |shown| {
            of_record(shown, |record| {
                record.reasons.truncate(LEFT_MAX);
                record.reasons.iter_mut().for_each(|reason| reason.message = cut(&reason.message, LEFT_BYTES_MAX));
                for contribution in &mut record.contributions {
                    contribution.explanation = cut(&contribution.explanation, LEFT_BYTES_MAX);
                }
            });
        }),
    ];
    for (what, leave_out) in steps {
        if encoded_len(&shown) <= ANSWER_BYTES_MAX {
            break;
        }
        leave_out(&mut shown);
        shown.left_out.push(what.to_owned());
    }
    shown
}

fn of_record(shown: &mut v1::GetApprovalResponse, change: impl FnOnce(&mut v1::DecisionRecord)) {
    if let Some(record) = &mut shown.record {
        change(record);
    }
}

fn shorten(words: &mut Vec<String>) {
    let more = words.len().saturating_sub(LEFT_MAX);
    words.truncate(LEFT_MAX);
    words.iter_mut().for_each(|word| *word = cut(word, LEFT_BYTES_MAX));
    words.extend((more > 0).then(|| format!("and {more} more")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_shortened_between_characters_and_say_how_much_is_missing() {
        assert_eq!(in_a_list(&"a".repeat(LISTED_BYTES_MAX)), "a".repeat(LISTED_BYTES_MAX));
        let long = format!("x{}", "é".repeat(2000));
        let short = in_a_list(&long);
        assert!(short.starts_with("xé") && short.ends_with("… and 3746 bytes more"), "{short}");
        assert!(short.len() < LISTED_BYTES_MAX + 40);
        let doubts = doubts_in_a_list((0..40).map(|i| i.to_string()).collect::<Vec<_>>().into_iter());
        assert_eq!((doubts.len(), doubts.last().unwrap().as_str()), (17, "and 24 more"));
    }

    #[test]
    fn a_page_ends_before_it_is_too_large_and_is_never_empty() {
        let large = |bytes: usize| v1::Approval { route_note: "n".repeat(bytes), ..v1::Approval::default() };
        assert_eq!(of_one_page(&[]), 0);
        assert_eq!(of_one_page(&[large(ANSWER_BYTES_MAX), large(1)]), 1);
        let page: Vec<_> = (0..500).map(|_| large(20 << 10)).collect();
        let fits = of_one_page(&page);
        assert!((100..160).contains(&fits), "{fits}");
        let listed = v1::ListApprovalsResponse { approvals: page[..fits].to_vec(), next_page_token: "t".repeat(100) };
        assert!(encoded_len(&listed) < 4 << 20);
    }

    #[test]
    fn an_approval_leaves_out_what_is_least_needed_until_it_fits() {
        let words = || (0..257).map(|_| "v".repeat(4200)).collect::<Vec<_>>();
        let resources = |bytes: usize| v1::ToolCeiling { resources: vec!["r".repeat(bytes)], ..Default::default() };
        let ceiling = || Some(v1::Ceiling { tools: vec![resources(1 << 20)], ..Default::default() });
        let amendment = v1::Amendment {
            ceiling_before: ceiling(),
            ceiling: ceiling(),
            adds: words(),
            takes: words(),
            ..v1::Amendment::default()
        };
        let record =
            v1::DecisionRecord { facts_json: "f".repeat(5 << 20), amendment: Some(amendment), ..Default::default() };
        let whole = v1::GetApprovalResponse { record: Some(record), ..Default::default() };
        let fits = fitted(whole.clone());
        assert!(encoded_len(&fits) <= ANSWER_BYTES_MAX, "{}", encoded_len(&fits));
        assert_eq!(fits.left_out, ["record.facts_json", "would_cover", "record.aftermath", "record.amendment"]);
        let amendment = fits.record.unwrap().amendment.unwrap();
        assert!(amendment.ceiling.is_some() && amendment.ceiling_before.is_some(), "what it is about is whole");
        assert_eq!((amendment.adds.len(), amendment.adds.last().unwrap().as_str()), (65, "and 193 more"));
        let mut small = whole;
        small.record = None;
        assert!(fitted(small).left_out.is_empty());
    }
}
