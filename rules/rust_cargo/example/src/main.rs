//! Greet whoever is named in the event. Most functions leave the runtime API to the crate lambda_runtime; speaking it
//! takes one page: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use tinyjson::JsonValue;

fn greet(event: &JsonValue) -> String {
    let name = match event {
        JsonValue::Object(fields) => fields.get("name").and_then(|name| name.get::<String>()),
        _ => None,
    };
    format!("Hello {}", name.map_or("nobody", String::as_str))
}

/// Ask the runtime API; gives the id of the request and the body.
fn ask(api: &str, request: &str, body: &str) -> io::Result<(String, String)> {
    let mut stream = TcpStream::connect(api)?;
    let length = body.len();
    write!(stream, "{request} HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")?;
    let mut answer = BufReader::new(stream);
    let (mut id, mut length, mut line) = (String::new(), 0, String::new());
    while answer.read_line(&mut line)? > 2 {
        let (name, value) = line.trim_end().split_once(": ").unwrap_or_default();
        match name.to_lowercase().as_str() {
            "lambda-runtime-aws-request-id" => id = value.to_string(),
            "content-length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
        line.clear();
    }
    let mut body = vec![0; length];
    answer.read_exact(&mut body)?;
    Ok((id, String::from_utf8_lossy(&body).into_owned()))
}

fn main() -> io::Result<()> {
    let api = env::var("AWS_LAMBDA_RUNTIME_API").expect("Lambda sets it");
    loop {
        let (id, event) = ask(&api, "GET /2018-06-01/runtime/invocation/next", "")?;
        let event: JsonValue = event.parse().expect("events are JSON");
        let answer = JsonValue::from(greet(&event)).stringify().expect("a text");
        ask(
            &api,
            &format!("POST /2018-06-01/runtime/invocation/{id}/response"),
            &answer,
        )?;
    }
}
