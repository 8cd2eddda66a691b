//! Numbers as the page writes them, and the pieces of HTML that sections share.

use maud::{Markup, html};

use super::models::Model;

/// What stands where nothing was measured.
pub(super) const NOTHING: &str = "–";

/// A number with so many decimals, with a true minus sign.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    format!("{value:.decimals$}").replace('-', "−")
}

/// A number to four digits, or a dash.
pub(super) fn number(value: Option<f64>) -> String {
    value.map_or(NOTHING.to_owned(), |value| crate::gates::number(value).replace('-', "−"))
}

/// A share as a percentage.
pub(super) fn percent(share: f64) -> String {
    let is_whole = [0.0, 1.0].contains(&share);
    format!("{} %", fixed(100.0 * share, usize::from(!is_whole)))
}

/// A count with narrow spaces between thousands.
pub(super) fn count(value: usize) -> String {
    let digits = value.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join("\u{202f}")
}

/// The name of a model with the mark of its colour.
pub(super) fn name(model: &Model<'_>) -> Markup {
    html! { span class={ "model " (model.role.class()) } { (model.name) } }
}

/// A section with its heading; `id` is what the contents link to.
pub(super) fn section(id: &str, heading: &str, lead: &Markup, content: &Markup) -> Markup {
    html! {
        section id=(id) {
            h2 { (heading) }
            p.lead { (lead) }
            (content)
        }
    }
}

/// What is wider than a phone scrolls inside its own box.
pub(super) fn scrolling(label: &str, content: &Markup) -> Markup {
    html! { div.scroll role="region" tabindex="0" aria-label=(label) { (content) } }
}

/// A figure whose drawing scrolls inside its own box.
pub(super) fn figure(label: &str, drawing: &Markup, caption: &Markup) -> Markup {
    html! {
        figure {
            (scrolling(label, drawing))
            figcaption { (caption) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_readers() {
        assert_eq!(fixed(-0.25, 1), "−0.2");
        assert_eq!(number(None), "–");
        assert_eq!(number(Some(-29.512_34)), "−29.51");
        assert_eq!([percent(1.0), percent(0.927)], ["100 %", "92.7 %"]);
        assert_eq!(
            [count(7), count(2366), count(81_234_567)],
            ["7", "2\u{202f}366", "81\u{202f}234\u{202f}567"]
        );
    }
}
