//! Tables and records for eyes: aligned, without frames, so that they can be pasted and cut.

use crate::cli::output::paint::{Paint, Tone, harmless, tone_of};
use crate::cli::output::value::Value;

/// Blanks between two columns.
const GAP: usize = 2;
/// Widest cell but the last of its row: beyond this a line is easier to read than a column.
const CELL_CHARS_MAX: usize = 60;

/// One object: a line for each field, what is inside of it indented.
pub(super) fn record(value: &Value, paint: Paint) -> String {
    let mut out = String::new();
    write_fields(value, 0, paint, &mut out);
    out
}

fn write_fields(value: &Value, indent: usize, paint: Paint, out: &mut String) {
    let Value::Fields(fields) = value else {
        return line(indent, &cell(value), paint, out);
    };
    let shown = || fields.iter().filter(|(_, value)| !value.is_empty());
    let width = shown().filter(|(_, v)| !is_nested(v)).map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in shown() {
        let label = name.replace('_', " ");
        if is_nested(value) {
            line(indent, &paint.tone(Tone::Faint, &label), Paint::NONE, out);
            match value {
                Value::List(list) => list.iter().for_each(|each| write_fields(each, indent + GAP, paint, out)),
                other => write_fields(other, indent + GAP, paint, out),
            }
        } else {
            let pad = " ".repeat((width + GAP).saturating_sub(label.len()));
            let value = cell(value);
            let value = tone_of(&value).map_or_else(|| value.as_str().into(), |tone| paint.tone(tone, &value));
            line(indent, &format!("{}{pad}{value}", paint.tone(Tone::Faint, &label)), Paint::NONE, out);
        }
    }
}

fn is_nested(value: &Value) -> bool {
    match value {
        Value::Fields(_) => true,
        Value::List(list) => list.iter().any(|each| matches!(each, Value::Fields(_))),
        _ => false,
    }
}

fn line(indent: usize, text: &str, paint: Paint, out: &mut String) {
    out.push_str(&" ".repeat(indent));
    match tone_of(text) {
        Some(tone) => out.push_str(&paint.tone(tone, text)),
        None => out.push_str(text),
    }
    out.push('\n');
}

/// A list of objects: a column for each name, headed by it.
pub(super) fn rows(columns: &[&str], rows: &[Value], paint: Paint) -> String {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| columns.iter().map(|name| row.field(name).map(cell).unwrap_or_default()).collect())
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let widest = cells.iter().filter_map(|row| row.get(at)).map(|text| text.chars().count()).max();
            widest.unwrap_or(0).max(name.len()).min(CELL_CHARS_MAX)
        })
        .collect();
    let mut out = String::new();
    let heads: Vec<String> = columns.iter().map(|name| name.replace('_', " ").to_uppercase()).collect();
    write_row(&heads, &widths, |head| paint.tone(Tone::Faint, head).into_owned(), &mut out);
    for row in &cells {
        let tinted = |text: &str| match tone_of(text) {
            Some(tone) => paint.tone(tone, text).into_owned(),
            None => text.to_owned(),
        };
        write_row(row, &widths, tinted, &mut out);
    }
    out
}

fn write_row(cells: &[String], widths: &[usize], tint: impl Fn(&str) -> String, out: &mut String) {
    let last = cells.iter().rposition(|text| !text.is_empty()).unwrap_or(0);
    for (at, (text, width)) in cells.iter().zip(widths).enumerate().take(last + 1) {
        let text = if at == last { text.clone() } else { cut(text, *width) };
        out.push_str(&tint(&text));
        if at < last {
            out.push_str(&" ".repeat((width + GAP).saturating_sub(text.chars().count())));
        }
    }
    out.push('\n');
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(std::iter::once('…')).collect()
}

fn cell(value: &Value) -> String {
    harmless(&value.inline(), false).into_owned()
}
