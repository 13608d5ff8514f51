//! What the terminal shows of the logs: a line a request, and what went wrong. The whole is in the
//! files.

use std::io::Write;

use serde_json::Value;

/// Tells a line of a log, if it is worth it.
pub fn line(text: &str) {
    match serde_json::from_str(text) {
        Ok(entry) => brief(&entry).into_iter().for_each(|line| write(&line)),
        Err(_) => write(text),
    }
}

/// Tells what went wrong with a process.
pub fn problem(process: &str, what: &str) {
    write(&format!("{process} {what}"));
}

fn brief(entry: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let span = &entry["span"];
    let (service, trace) = (text(&span["service"]), text(&span["trace_id"]));
    let trace = trace.get(..8).unwrap_or_default();
    match (entry["level"].as_str(), entry["status"].as_u64()) {
        (Some("INFO"), Some(status)) => {
            let (method, path, caller) = (text(&span["method"]), text(&span["path"]), text(&span["caller"]));
            Some(format!("   {trace} {service:<13} {status} {method:<4} {path:<12} {caller}"))
        }
        (Some("WARN" | "ERROR"), _) => {
            let why = ["error", "reason", "cause"].map(|name| text(&entry[name])).join(" ");
            Some(format!("   {trace} {service:<13} {} {}", text(&entry["message"]), why.trim()))
        }
        _ => None,
    }
}

fn write(line: &str) {
    // Nobody has to watch.
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_line_and_a_start_is_none() {
        let answered = serde_json::json!({
            "level": "INFO", "message": "answered", "status": 200,
            "span": { "service": "gateway", "trace_id": "4bf92f3577b34da6", "method": "GET", "path": "/ads", "caller": "alice@R" },
        });
        assert_eq!(brief(&answered).as_deref(), Some("   4bf92f35 gateway       200 GET  /ads         alice@R"));
        assert_eq!(brief(&serde_json::json!({ "level": "INFO", "message": "listening" })), None);
    }

    #[test]
    fn a_refusal_says_why() {
        let refused = serde_json::json!({
            "level": "WARN", "message": "refused", "cause": "Request is a replay", "span": { "service": "gateway" },
        });
        assert_eq!(brief(&refused).as_deref(), Some("    gateway       refused Request is a replay"));
    }
}
