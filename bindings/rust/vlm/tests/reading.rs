//! The safe layer against the shipped reader. VLM_SOURCE_DIR is the root of the source tree.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use vlm::{Cancel, Code, Finish, Generation, Host, Image, Output, Pipeline, Pixels, Request, Session, Tensor};

fn source() -> PathBuf {
    PathBuf::from(std::env::var("VLM_SOURCE_DIR").expect("VLM_SOURCE_DIR"))
}

fn row() -> PathBuf {
    source().join("tests/data/rx_rows/english_entry.png")
}

fn manifest(more: &str) -> String {
    let model = source().join("models/rx-small");
    let prompt = "<|vision_start|><|image_pad|><|vision_end|>";
    format!("{{\"model\": \"{}\", \"use_template\": false, \"prompt\": \"{}\", {}}}", model.display(), prompt, more)
}

fn reader() -> Pipeline {
    Host::new().unwrap().open_json(&manifest("\"generation\": {\"max_new_tokens\": 24}"), ".").unwrap()
}

fn endless() -> Pipeline {
    let more = "\"max_context\": 16384, \"generation\": {\"max_new_tokens\": 1000000, \"ignore_eos\": true}";
    Host::new().unwrap().open_json(&manifest(more), ".").unwrap()
}

fn few() -> Generation {
    Generation { max_new_tokens: Some(3), ..Generation::default() }
}

#[test]
fn handles_go_where_their_threads_may() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<Host>();
    sync::<Host>();
    send::<Pipeline>();
    sync::<Pipeline>();
    send::<Session>();
    send::<Cancel>();
    sync::<Cancel>();
    send::<Output>();
    send::<Tensor>();
}

#[test]
fn an_answer_streams_and_is_a_value() {
    let pipeline = reader();
    let mut session = pipeline.session().unwrap();
    let mut stream = session.stream(Request::new().image(row()));
    let parts: Vec<_> = (&mut stream).collect();
    let output = stream.finish().unwrap();
    assert!(parts.len() > 1);
    assert_eq!(parts.iter().map(|part| part.text.as_str()).collect::<String>(), output.text());
    assert_eq!(output.find("/text"), Some(output.text()));
    assert_eq!(output.find("/drugs/0"), None);
    assert!(output.json().starts_with('{'));
    let answers = output.answers().unwrap();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].text, output.text());
    assert_eq!(answers[0].tokens.len() as i64, output.usage().unwrap().generated_tokens);
    assert!(answers[0].tokens.iter().all(|token| token.log_probability <= 0.0));
    assert_eq!(output.tensor("image_embeddings", 0).err().unwrap().code(), Code::NotFound);
}

#[test]
fn images_come_as_files_bytes_and_pixels() {
    let pipeline = reader();
    let mut session = pipeline.session().unwrap();
    let bytes = std::fs::read(row()).unwrap();
    let file = session.encode(&Image::from(row()), None).unwrap();
    assert_eq!(file.shape().len(), 2);
    assert_eq!(file.data().len() as i64, file.shape()[0] * file.shape()[1]);
    let encoded = session.encode(&Image::Encoded(bytes), None).unwrap();
    assert_eq!(file.data(), encoded.data());
    let gray: Vec<u8> = (0..64 * 64).map(|i| (i * 7 % 251) as u8).collect();
    let rgb: Vec<u8> = gray.iter().flat_map(|v| [*v; 3]).collect();
    let rgb = session.encode(&Image::Pixels(Pixels::new(64, 64, 3, rgb).unwrap()), None).unwrap();
    let gray = session.encode(&Image::Pixels(Pixels::new(64, 64, 1, gray).unwrap()), None).unwrap();
    assert_eq!(gray.data(), rgb.data());
    let copy = gray.clone();
    drop((gray, session, pipeline));
    assert_eq!(copy.data(), rgb.data());
    assert_eq!(Pixels::new(64, 64, 3, vec![0; 5]).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(Pixels::new(usize::MAX, 2, 3, vec![]).unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn cancels_stop_what_runs_or_what_comes_next() {
    let pipeline = endless();
    let mut session = pipeline.session().unwrap();
    let cancel = session.cancel_handle();
    let stopped = session.generate_with(&Request::new().image(row()), |_| {
        let cancel = cancel.clone();
        thread::spawn(move || cancel.cancel()).join().unwrap();
        true
    });
    assert_eq!(stopped.err().unwrap().code(), Code::Cancelled);
    cancel.cancel();
    assert_eq!(session.generate(&Request::new().image(row())).err().unwrap().code(), Code::Cancelled);
    cancel.cancel();
    cancel.reset();
    drop({
        let mut stream = session.stream(Request::new().image(row()));
        stream.next().unwrap();
        stream // dropped early
    });
    let output = session.generate(&Request::new().image(row()).generation(few())).unwrap();
    assert_eq!(output.answers().unwrap()[0].finish, Finish::Length);
    drop((session, pipeline));
    cancel.cancel(); // outlives the session
}

#[test]
fn sessions_of_one_pipeline_answer_at_once() {
    let pipeline = Arc::new(reader());
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let pipeline = pipeline.clone();
            thread::spawn(move || pipeline.session().unwrap().generate(&Request::new().image(row())).unwrap())
        })
        .collect();
    let outputs: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap().text()).collect();
    assert!(!outputs[0].is_empty());
    assert!(outputs.iter().all(|text| *text == outputs[0]));
}

#[test]
fn a_callback_may_stop_and_may_panic() {
    let pipeline = endless();
    let mut session = pipeline.session().unwrap();
    let mut parts = 0;
    let output = session.generate_with(&Request::new().image(row()), |_| {
        parts += 1;
        false
    });
    assert_eq!((parts, output.unwrap().answers().unwrap()[0].finish), (1, Finish::StopString));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = session.generate_with(&Request::new().image(row()), |_| panic!("mine"));
    }));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"mine"));
}

#[test]
fn batches_answer_each_request() {
    let pipeline = reader();
    let mut session = pipeline.session().unwrap();
    let alone = session.generate(&Request::new().image(row()).generation(few())).unwrap().text();
    let requests = [Request::new().image(row()), Request::new().image(row())];
    let outputs = session.generate_batch(&requests, &few()).unwrap();
    assert_eq!(outputs.iter().map(Output::text).collect::<Vec<_>>(), [alone.clone(), alone]);
    assert!(session.generate_batch(&[], &few()).unwrap().is_empty());
}

#[test]
fn errors_say_what_is_wrong() {
    let host = Host::new().unwrap();
    let error = host.open("/no/such.json").err().unwrap();
    assert_eq!(error.code(), Code::NotFound);
    assert!(error.to_string().starts_with("NOT_FOUND: ") && error.message().contains("/no/such.json"), "{}", error);
    assert_eq!(host.open("a\0b").err().unwrap().code(), Code::InvalidArgument);
    assert!(host.open_json("{\"modle\": 1}", ".").err().unwrap().message().contains("\"model\""));
    assert_eq!(vlm::abi_version(), 1);
    assert_eq!(vlm::version().split('.').count(), 3);
}

#[test]
fn progress_and_log_are_heard() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let folder = std::env::temp_dir().join(format!("vlm_rust_{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("libbroken.so"), "no library").unwrap();
    let heard = lines.clone();
    let log = move |_, _: &str, text: &str| heard.lock().unwrap().push(text.to_string());
    let host = Host::with_log(Some(&folder), log).unwrap();
    let refused = host.open_json(&manifest("\"pipeline\": {\"backbone\": {\"plugin\": \"no.such\"}}"), ".");
    assert_eq!(refused.err().unwrap().code(), Code::NotFound);
    assert!(lines.lock().unwrap().iter().any(|line| line.contains("libbroken.so")));
    drop(host);
    std::fs::remove_dir_all(&folder).unwrap();
    let mut seen = Vec::new();
    let model = source().join("models/rx-small");
    Host::new().unwrap().open_with_progress(model, |done, total| seen.push((done, total))).unwrap();
    let total = seen[0].1;
    assert_eq!((seen[0], *seen.last().unwrap()), ((0, total), (total, total)));
}
