//! Vision-language models assembled from plugins: the application API of libvlmhost.
//!
//! ```no_run
//! let host = vlm::Host::new()?;
//! let pipeline = host.open("medical.json")?;
//! let mut session = pipeline.session()?;
//! let mut stream = session.stream(vlm::Request::new().image("page.png"));
//! for part in &mut stream {
//!     print!("{}", part.text);
//! }
//! println!("{}", stream.finish()?.json());
//! # Ok::<(), vlm::Error>(())
//! ```
//!
//! Threads: [`Host`] and [`Pipeline`] are `Send + Sync`. A [`Session`] is `Send`, and its calls take `&mut self`, so that two of them
//! at once do not compile; what stops a call from another thread is its [`Cancel`], which is `Clone + Send + Sync`.

mod error;
mod host;
mod request;
mod result;
mod session;
mod stream;
mod tensor;

pub use error::{Code, Error};
pub use host::{abi_version, version, Host, LogLevel, Pipeline};
pub use request::{Generation, Image, Pixels, Request};
pub use result::{Answer, Finish, Output, Token, Usage};
pub use session::{Cancel, Session};
pub use stream::{Part, Stream};
pub use tensor::Tensor;
