//! `carnet demo`: the whole story, told for eyes; it ends with an error when anything went otherwise than it should.

use std::path::Path;
use std::time::Duration;

use crate::cli::dev;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::paint::{Paint, Tone, tone_of};
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::clock::Stopwatch;
use crate::config::settings::{LogFormat, LogSettings};
use crate::dev::demo::error::DemoError;
use crate::dev::demo::{self, Step, Told};
use crate::dev::next_steps::quoted;
use crate::server::log;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// What is logged on stderr, e.g. `carnet=debug,warn`.
    #[arg(long, value_name = "FILTER", default_value = "off")]
    log: String,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    log::begin(&LogSettings { format: LogFormat::Text, filter: args.log })
        .map_err(|error| CliError::because("the log cannot be set up", error))?;
    let program = std::env::current_exe().map_err(|error| CliError::because("where is this program?", error))?;
    let (watch, mut broken, mut told) = (Stopwatch::start(), None, Vec::new());
    let mut chapter = 0;
    let listener = Box::new(|news: Told| {
        if matches!(news, Told::Chapter(_)) {
            chapter += 1;
        }
        if out.is_table() {
            broken = broken.take().or(out.text(&line(&news, chapter, out.paint())).err());
        } else if let Told::Step(step) = &news {
            told.push(value(step, chapter));
        }
    });
    let ending = demo::run(&program, listener).await.map_err(failed)?;
    if let Some(error) = broken {
        return Err(error.into());
    }
    if out.is_table() {
        out.text(&closing(&program, ending, watch.elapsed(), out.paint()))?;
    } else {
        out.rows(&[], told)?;
    }
    if ending.failed > 0 {
        say(&format!("{} steps went otherwise than they should", ending.failed));
        return Ok(Exit::Unverified);
    }
    Ok(Exit::Done)
}

fn failed(error: DemoError) -> CliError {
    match error {
        DemoError::Dev(error) => dev::failed(error),
        other => CliError::because("the demo cannot go on", other),
    }
}

fn value(step: &Step, chapter: u32) -> Value {
    Value::Fields(vec![
        ("chapter", chapter.into()),
        ("who", step.who.into()),
        ("what", step.what.as_str().into()),
        ("answer", step.answer.as_str().into()),
        ("why", step.why.as_str().into()),
        ("held", step.held.into()),
    ])
}

/// Widths of who, what and the answer.
const COLUMNS: (usize, usize, usize) = (13, 44, 12);

fn line(news: &Told, chapter: u32, paint: Paint) -> String {
    match news {
        Told::Chapter(title) => format!("\n{}\n", paint.tone(Tone::Strong, &format!("{chapter}  {title}"))),
        Told::Remark(text) => format!("   {}\n", paint.tone(Tone::Faint, text)),
        Told::Step(step) => {
            let (who, what, answer) = COLUMNS;
            let (mark, tone) = if step.held { ("✓", Tone::Good) } else { ("✗", Tone::Bad) };
            let word = step.answer.replace('_', "-");
            let tone_of_answer = tone_of(step.answer.split(' ').next_back().unwrap_or_default());
            let painted = paint.tone(tone_of_answer.unwrap_or(Tone::Strong), &word).into_owned();
            let pad = |text: &str, width: usize| " ".repeat(width.saturating_sub(text.chars().count()));
            // What is long gets a line of its own, so that the columns stay where they are.
            let gap = if step.what.chars().count() > what {
                format!("\n{}", " ".repeat(3 + who + what))
            } else {
                pad(&step.what, what)
            };
            let why = paint.tone(Tone::Faint, &step.why).into_owned();
            let text = format!(
                " {} {}{}{}{gap} {painted}{} {why}",
                paint.tone(tone, mark),
                step.who,
                pad(step.who, who),
                step.what,
                pad(&word, answer),
            );
            format!("{}\n", text.trim_end())
        }
    }
}

/// The commands work as they stand, from any folder.
fn closing(program: &Path, ending: demo::Ending, took: Duration, paint: Paint) -> String {
    let steps = ending.held + ending.failed;
    let (tone, word) =
        if ending.failed == 0 { (Tone::Good, "as it should be") } else { (Tone::Bad, "NOT as it should be") };
    let verdict = paint.tone(tone, word).into_owned();
    let mut text = format!("\n{verdict}: {} of {steps} steps, {:.1} s\n", ending.held, took.as_secs_f64());
    let program = quoted(&program.display().to_string());
    text.push_str(&format!("\n{}\n", paint.tone(Tone::Strong, "Next; each line works as it stands:")));
    for (command, about) in NEXT {
        text.push_str(&format!("\n{}\n{program} {command}\n", paint.tone(Tone::Faint, about)));
    }
    text
}

/// What to try after the demo.
const NEXT: [(&str, &str); 3] = [
    ("dev", "the same broker, left running, with commands to try"),
    ("audit --help", "search, explain, export and verify the record"),
    ("policy --help", "check and test the policies that decided all this: they lie in deploy/policy, to start from"),
];
