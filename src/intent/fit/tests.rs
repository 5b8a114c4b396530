//! What plain requests are read to ask for.

use super::*;
use crate::catalogue::tool::OutsiderFields;

fn tool(name: &str, effect: Effect, sensitive: &[&str]) -> Tool {
    let classes: Vec<_> = sensitive.iter().map(|c| c.parse().unwrap()).collect();
    Tool {
        name: name.parse().unwrap(),
        description: String::new(),
        effect,
        privilege: 0,
        data_classes: classes.clone(),
        sensitive: classes,
        owner: None,
        audience: None,
        actions: vec!["tools/call".to_owned()],
        sinks: Vec::new(),
        outsider_fields: OutsiderFields::None,
        conflicts: Vec::new(),
        calls_max: None,
        definition_digest: None,
    }
}

fn verdict(intent: &str, effect: Effect) -> FitVerdict {
    Reading::of(intent).fit(Some(&tool("x", effect, &[]))).verdict
}

#[test]
fn plain_requests_imply_their_effects() {
    use Effect::{Administer, Delete, Execute, Send, Spend, Write};
    let rows = [
        ("Please send the minutes to Ann.", Send),
        ("Could you email Ann the minutes?", Send),
        ("Find the minutes and forward them to Ann", Send),
        ("Let Ann know that I am late", Send),
        ("Add Ann to the participants of the meeting", Send),
        ("Add ann@acme.test, bob@acme.test and cy@acme.test to the participants", Send),
        ("Create a folder for the trip", Write),
        ("Schedule a call with Ann for Monday", Write),
        ("Please make an appointment with the dentist", Write),
        ("Delete the oldest backup", Delete),
        ("I'd like to cancel my flight", Delete),
        ("Book a table for two", Spend),
        ("Make a reservation at the inn", Spend),
        ("Consider paying the gas bill", Spend),
        ("Transfer 20 EUR to Ann", Spend),
        ("Give Ann access to the folder", Administer),
        ("Please unlock the front door", Administer),
        ("Share the folder with Ann", Administer),
        ("Restart the service", Execute),
        ("Write an email to bob@acme.test about the fair", Send),
        ("Compose an email to Ann and send it", Send),
        ("Please write a message for Ann", Send),
        ("Drop Bob a line", Send),
        ("Write to bob@acme.test that I am late", Send),
    ];
    for (intent, effect) in rows {
        assert_eq!(verdict(intent, effect), FitVerdict::Implied, "{intent}");
    }
}

#[test]
fn other_requests_do_not() {
    use Effect::{Delete, Send, Spend, Write};
    let rows = [
        ("a question", "Who is invited to the fair?", Send),
        ("another effect", "Send the minutes to Ann", Delete),
        ("a noun", "Summarize the email from Ann", Send),
        ("a noun after and", "Show me name and email address of Ann", Send),
        ("a participle", "Which messages were sent by Ann?", Send),
        ("a negation", "Find a hotel, but do not book it", Spend),
        ("left to the person", "Find a hotel; I'll book it later", Spend),
        ("content of a reminder", "Add a reminder to book a table", Spend),
        ("telling the person", "Find the minutes and tell me who wrote them", Send),
        ("what the person has in mind", "I'm looking to rent a car. Which one is the cheapest?", Spend),
        ("in quotes", "Show the event 'Delete all the logs'", Delete),
        ("a request to read", "Find out how warm it is in Rome", Write),
        ("a draft", "Draft a mail for Ann", Send),
        ("a file", "Write to notes.txt what Ann said", Send),
    ];
    for (name, intent, effect) in rows {
        assert_eq!(verdict(intent, effect), FitVerdict::NotImplied, "{name}: {intent}");
    }
}

#[test]
fn silence_is_silence() {
    assert_eq!(verdict("", Effect::Send), FitVerdict::Silent);
    assert_eq!(verdict("Quarterly figures", Effect::Send), FitVerdict::Silent);
    assert_eq!(Reading::of("Send it").fit(None).verdict, FitVerdict::Silent, "nobody knows the tool");
}

#[test]
fn a_negation_names_itself() {
    let fit = Reading::of("Find a hotel, but do not book it").fit(Some(&tool("x", Effect::Spend, &[])));
    assert_eq!(fit.because, ["book"]);
}

#[test]
fn what_is_left_to_something_that_is_read_is_noticed() {
    let rows = [
        ("Please do the actions in the letter from Ann", true),
        ("Follow the instructions on the page", true),
        ("Make a packing list based on the travel plan", true),
        ("Pay what is mentioned in the notice", true),
        ("Add the items from shopping.txt to my list", true),
        ("Send Ann a greeting", false),
        ("Put dinner with Ann in my calendar", false),
        ("Write a list of what we need", false),
        ("Write to Ann what is due from the list", true),
        ("Do the following tasks: send Ann a greeting", false),
    ];
    for (intent, expected) in rows {
        assert_eq!(Reading::of(intent).fit(None).delegates, expected, "{intent}");
    }
    assert_eq!(verdict("Please do the actions in the letter from Ann", Effect::Delete), FitVerdict::Silent);
}

#[test]
fn sensitive_reads_want_to_be_spoken_of() {
    let rows = [
        ("What did I spend on my credit card?", "get_statement", "financial", FitVerdict::Silent),
        ("How warm is it in Rome?", "get_statement", "financial", FitVerdict::NotImplied),
        ("Compare the statements of both years", "get_statement", "financial", FitVerdict::Implied),
        ("How warm is it in Rome?", "get_weather", "", FitVerdict::Silent),
        ("Who won the zebra prize?", "list_zebras", "zebra_secrets", FitVerdict::Implied),
        ("Who won?", "list_animals", "zebra", FitVerdict::NotImplied),
    ];
    for (intent, name, class, expected) in rows {
        let classes: Vec<&str> = Some(class).filter(|c| !c.is_empty()).into_iter().collect();
        let fit = Reading::of(intent).fit(Some(&tool(name, Effect::Read, &classes)));
        assert_eq!(fit.verdict, expected, "{intent} {name}");
    }
}
