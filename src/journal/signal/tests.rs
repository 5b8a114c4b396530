//! What a waiting thread hears.

use super::*;

#[test]
fn the_last_word_counts_and_stop_before_any() {
    let signal = Signal::new();
    assert_eq!(signal.hear(Duration::ZERO), Heard::Nothing);
    signal.say(1);
    signal.say(2);
    assert_eq!(signal.hear(Duration::from_secs(60)), Heard::Word(2));
    assert_eq!(signal.hear(Duration::ZERO), Heard::Nothing);
    signal.say(3);
    signal.stop();
    assert_eq!(signal.hear(Duration::from_secs(60)), Heard::Stop);
    assert!(signal.is_stopped());
}
