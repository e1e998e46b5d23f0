//! Reads a prescription: opens a pipeline, shows that the reader is at work, stops cleanly on Ctrl-C (or after the seconds given as
//! third argument), and prints what was found as a table.
//!
//!     vlm-sample MANIFEST IMAGE [SECONDS]

mod interrupt;

use std::time::Duration;
use std::{env, process, thread};

fn show_progress(done: u64, total: u64) {
    eprint!("\rloading {:3} %", 100 * done / total.max(1));
}

// [ask]
/// The rows of a page are read side by side; every part of text says which of them it belongs to.
fn ask(session: &mut vlm::Session, image: &str) -> Result<vlm::Output, vlm::Error> {
    let (mut rows, mut characters) = (0, 0);
    let mut stream = session.stream(vlm::Request::new().image(image)); // dropping it early cancels the answer
    for part in &mut stream {
        rows = rows.max(part.answer + 1);
        characters += part.text.chars().count();
        eprint!("\rreading {:3} rows, {:5} characters", rows, characters);
    }
    stream.finish()
}
// [ask]

fn print_table(output: &vlm::Output) {
    println!("{:<11} {:<16} {:<10} printed", "status", "name", "dosage");
    for drug in 0.. {
        let value = |member: &str| {
            let found = output.find(&format!("/drugs/{}/{}", drug, member));
            found.map(|text| if text.is_empty() { "-".to_string() } else { text })
        };
        let columns = (value("status"), value("name"), value("dosage"), value("printed"));
        if let (Some(status), Some(name), Some(dosage), Some(printed)) = columns {
            println!("{:<11} {:<16} {:<10} {}", status, name, dosage, printed);
        } else {
            return;
        }
    }
}

// [run]
fn run(manifest: &str, image: &str, seconds: Option<f64>) -> Result<(), vlm::Error> {
    let host = vlm::Host::new()?;
    let pipeline = host.open_with_progress(manifest, show_progress)?;
    let mut session = pipeline.session()?;
    let cancel = session.cancel_handle();
    interrupt::on_interrupt(move || cancel.cancel());
    if let Some(seconds) = seconds {
        let cancel = session.cancel_handle();
        thread::spawn(move || {
            thread::sleep(Duration::from_secs_f64(seconds));
            cancel.cancel();
        });
    }
    let output = ask(&mut session, image)?;
    eprintln!();
    print_table(&output);
    Ok(())
}
// [run]

fn main() {
    interrupt::block();
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.len() < 2 {
        eprintln!("usage: vlm-sample MANIFEST IMAGE [SECONDS]");
        process::exit(2);
    }
    let seconds = arguments.get(2).and_then(|text| text.parse().ok());
    match run(&arguments[0], &arguments[1], seconds) {
        Ok(()) => (),
        Err(error) if error.code() == vlm::Code::Cancelled => {
            eprintln!("\ncancelled");
            process::exit(130);
        }
        Err(error) => {
            eprintln!("\n{}", error);
            process::exit(1);
        }
    }
}
