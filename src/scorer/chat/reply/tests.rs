//! Answers that are one, and answers that are none.

use super::*;

fn completion(content: &str) -> Value {
    json!({
        "id": "c-1", "object": "chat.completion", "model": "judge-2", "system_fingerprint": "fp_7",
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": content } }],
        "usage": { "total_tokens": 3 },
    })
}

const GOOD: &str = r#"{"score": 0.25, "reason_code": "NONE", "explanation": "it fits"}"#;

#[test]
fn an_answer_in_form_is_read_with_the_model_that_made_it() {
    let read = |answer: &Value| read(&answer.to_string(), "asked").unwrap();
    let said = read(&completion(GOOD));
    assert_eq!((said.score, said.reason_code.as_str(), said.explanation.as_str()), (Some(0.25), "NONE", "it fits"));
    assert_eq!((said.model.as_str(), said.model_version.as_str()), ("judge-2", "fp_7"));
    let mut bare = completion(GOOD);
    bare.as_object_mut().unwrap().remove("model");
    assert_eq!(read(&bare).model, "asked");
}

#[test]
fn what_is_not_of_the_form_is_no_answer() {
    for content in [
        "",
        "0.2",
        "null",
        "[0.2]",
        r#"{"score": 0.2}"#,
        r#"{"score": "0.2", "reason_code": "A", "explanation": "b"}"#,
        r#"{"score": null, "reason_code": "A", "explanation": "b"}"#,
        r#"{"score": NaN, "reason_code": "A", "explanation": "b"}"#,
        r#"{"score": 1e999, "reason_code": "A", "explanation": "b"}"#,
        r#"{"score": 0.9, "score": 0.0, "reason_code": "A", "explanation": "b"}"#,
        r#"{"score": 0.0, "reason_code": "A", "explanation": "b", "approved": true}"#,
        "```json\n{\"score\": 0.0, \"reason_code\": \"A\", \"explanation\": \"b\"}\n```",
        r#"{"score": 0.0, "reason_code": "A", "explanation": "b"} and so on"#,
    ] {
        assert_eq!(
            read(&completion(content).to_string(), "m"),
            Err("it is not of the form that was asked for"),
            "{content}"
        );
    }
}

#[test]
fn a_completion_that_is_cut_off_refused_or_more_than_one_is_no_answer() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut answer = completion(GOOD);
        change(&mut answer);
        read(&answer.to_string(), "m").unwrap_err()
    };
    assert_eq!(with(&|a| a["choices"][0]["finish_reason"] = json!("length")), "the model did not finish");
    assert_eq!(with(&|a| a["choices"][0]["finish_reason"] = Value::Null), "the model did not finish");
    assert_eq!(with(&|a| a["choices"][0]["message"]["refusal"] = json!("I can't")), "the model refused");
    assert_eq!(with(&|a| a["choices"][0]["message"]["content"] = Value::Null), "it says nothing");
    assert_eq!(with(&|a| a["choices"] = json!([])), "it has not one choice");
    let twice = completion(GOOD)["choices"][0].clone();
    assert_eq!(with(&|a| a["choices"] = json!([twice, twice])), "it has not one choice");
    assert_eq!(read("<html>", "m"), Err("it is no completion"));
}
