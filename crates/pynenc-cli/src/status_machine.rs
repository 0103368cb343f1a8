//! The invocation lifecycle as text, Mermaid, SVG and JSON, drawn from [`pynenc_core::status::EDGES`].

use std::fmt::Write;

use pynenc_core::Status;
use pynenc_core::status::EDGES;
use serde_json::{Value, json};

/// Draws the lifecycle as text: a line for each status, with the statuses that may follow.
pub fn text() -> String {
    let mut text = String::new();
    for status in Status::ALL {
        let next: Vec<_> = next(*status).map(Status::as_str).collect();
        let next = if next.is_empty() { "(final)".to_owned() } else { next.join(", ") };
        // Writing to a string can't fail.
        let _ = writeln!(text, "{:<28} -> {next}", status.as_str());
    }
    text
}

/// Draws the lifecycle as a Mermaid state diagram.
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> registered\n    [*] --> scheduled\n");
    for edge in EDGES {
        let _ = writeln!(text, "    {} --> {}", edge.from, edge.to);
    }
    for status in Status::ALL.iter().filter(|status| status.is_final()) {
        let _ = writeln!(text, "    {status} --> [*]");
    }
    text
}

/// Draws the lifecycle as an SVG picture with three columns: waiting, owned by a runner, and finished statuses.
pub fn svg() -> String {
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <defs><marker id=\"to\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">\
         <path d=\"M0 0 8 4 0 8z\" fill=\"#778\"/></marker></defs>\n"
    );
    for (column, heading) in ["waiting", "owned by a runner", "finished"].iter().enumerate() {
        let x = LEFT + column * COLUMN_STEP + BOX_WIDTH / 2;
        let _ = writeln!(text, "<text x=\"{x}\" y=\"24\" text-anchor=\"middle\" fill=\"#667\">{heading}</text>");
    }
    EDGES.iter().for_each(|edge| text += &arrow(edge.from, edge.to));
    Status::ALL.iter().for_each(|status| text += &node(*status));
    text + "</svg>\n"
}

pub(crate) fn json() -> Value {
    let statuses = Status::ALL.iter().map(|status| {
        let next: Vec<_> = next(*status).collect();
        json!({"status": status, "final": status.is_final(), "owned": status.is_owned(), "next": next})
    });
    Value::from(statuses.collect::<Vec<_>>())
}

fn next(status: Status) -> impl Iterator<Item = Status> {
    EDGES.iter().filter(move |edge| edge.from == status).map(|edge| edge.to)
}

const WIDTH: usize = 1000;
const HEIGHT: usize = 460;
const LEFT: usize = 60;
const COLUMN_STEP: usize = 340;
const BOX_WIDTH: usize = 200;
const TOP: usize = 50;
const ROW_STEP: usize = 80;
const BOX_HEIGHT: usize = 34;

fn column(status: Status) -> usize {
    match status {
        status if status.is_final() => 2,
        status if status.is_owned() => 1,
        _ => 0,
    }
}

/// Returns the upper left corner of a status's box.
fn corner(status: Status) -> (usize, usize) {
    let column_of = column(status);
    let row = Status::ALL.iter().filter(|other| column(**other) == column_of).position(|other| *other == status);
    (LEFT + column_of * COLUMN_STEP, TOP + row.unwrap_or_default() * ROW_STEP)
}

fn node(status: Status) -> String {
    let ((x, y), fill) = (corner(status), ["#eef2ff", "#e7f6ec", "#f4f4f4"][column(status)]);
    let (middle, base) = (x + BOX_WIDTH / 2, y + BOX_HEIGHT / 2 + 5);
    format!(
        "<rect x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"8\" fill=\"{fill}\" stroke=\"#556\"/>\
         <text x=\"{middle}\" y=\"{base}\" text-anchor=\"middle\">{status}</text>\n"
    )
}

/// Draws an arrow: from side to side between two columns, and as a bow on the left side within one column.
fn arrow(from: Status, to: Status) -> String {
    let ((from_x, from_y), (to_x, to_y)) = (corner(from), corner(to));
    let (from_y, to_y) = (from_y + BOX_HEIGHT / 2, to_y + BOX_HEIGHT / 2);
    let (start, end, bend_start, bend_end) = match column(from).cmp(&column(to)) {
        std::cmp::Ordering::Less => (from_x + BOX_WIDTH, to_x, from_x + BOX_WIDTH + 60, to_x - 60),
        std::cmp::Ordering::Greater => (from_x, to_x + BOX_WIDTH, from_x - 60, to_x + BOX_WIDTH + 60),
        std::cmp::Ordering::Equal => {
            let bow = 20 + from_y.abs_diff(to_y) / 8;
            (from_x, to_x, from_x.saturating_sub(bow), to_x.saturating_sub(bow))
        }
    };
    format!(
        "<path d=\"M{start} {from_y}C{bend_start} {from_y} {bend_end} {to_y} {end} {to_y}\" fill=\"none\" \
         stroke=\"#99a\" marker-end=\"url(#to)\"><title>{from} to {to}</title></path>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_and_every_transition_is_drawn() {
        let (text, mermaid, svg) = (text(), mermaid(), svg());
        for status in Status::ALL {
            assert!(text.contains(status.as_str()) && svg.contains(&format!(">{status}</text>")), "{status}");
        }
        for edge in EDGES {
            assert!(mermaid.contains(&format!("    {} --> {}\n", edge.from, edge.to)));
            assert!(svg.contains(&format!("<title>{} to {}</title>", edge.from, edge.to)));
        }
        let lowest = Status::ALL.iter().map(|status| corner(*status).1).max();
        assert!(lowest.is_some_and(|y| y + BOX_HEIGHT < HEIGHT), "the lowest box is inside the picture");
    }
}
