//! Convert a price. It speaks the runtime API itself, so that it needs no large crates:
//! https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use tinyjson::JsonValue;

/// Cents of an order in the currency of its market.
fn convert(event: &JsonValue) -> Option<JsonValue> {
    let event: &HashMap<String, JsonValue> = event.get()?;
    let cents: &f64 = event.get("cents")?.get()?;
    let rate: &f64 = event.get("rate")?.get()?;
    let converted = JsonValue::from((cents * rate).round());
    Some(JsonValue::from(HashMap::from([(
        "cents".to_string(),
        converted,
    )])))
}

struct Response {
    request_id: String,
    body: String,
}

/// One request to the runtime API, HTTP/1.1 with a Content-Length.
fn call(api: &str, method: &str, path: &str, body: &str) -> io::Result<Response> {
    let mut stream = TcpStream::connect(api)?;
    let length = body.len();
    write!(
        stream,
        "{method} /2018-06-01/runtime/invocation/{path} HTTP/1.1\r\nHost: {api}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )?;
    let mut reader = BufReader::new(stream);
    let (mut request_id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim_end().is_empty() {
            break;
        }
        let (name, value) = line
            .trim_end()
            .split_once(": ")
            .unwrap_or((line.trim_end(), ""));
        match name.to_ascii_lowercase().as_str() {
            "lambda-runtime-aws-request-id" => request_id = value.to_string(),
            "content-length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Response {
        request_id,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

fn main() -> io::Result<()> {
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API")
        .map_err(|error| io::Error::new(io::ErrorKind::Other, error))?;
    loop {
        let event = call(&api, "GET", "next", "")?;
        let answer = event
            .body
            .parse()
            .ok()
            .and_then(|event| convert(&event))
            .and_then(|json| json.stringify().ok());
        let (path, body) = match answer {
            Some(json) => ("response", json),
            None => (
                "error",
                r#"{"errorType":"BadEvent","errorMessage":"cents and rate are numbers"}"#
                    .to_string(),
            ),
        };
        call(&api, "POST", &format!("{}/{path}", event.request_id), &body)?;
    }
}
