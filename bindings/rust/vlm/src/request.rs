//! What is asked: a prompt, images, options. Builders, because most requests set one or two members.

use std::ffi::CString;
use std::mem::size_of;
use std::os::raw::c_char;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;
use vlm_sys::*;

use crate::error::{Code, Error};
use crate::host::c_text;

/// Pixels in memory: u8 `[height, width, channels]` of 1 (gray), 3 (RGB) or 4 (RGBA) channels, rows packed.
#[derive(Clone, Debug)]
pub struct Pixels {
    width: i64,
    height: i64,
    channels: i64,
    data: Vec<u8>,
}

impl Pixels {
    /// InvalidArgument unless `data` has exactly `width * height * channels` bytes.
    pub fn new(width: usize, height: usize, channels: usize, data: Vec<u8>) -> Result<Pixels, Error> {
        let needed = width.checked_mul(height).and_then(|area| area.checked_mul(channels));
        if needed != Some(data.len()) {
            let message = format!("{} x {} pixels of {} channels do not fill {} bytes", width, height, channels, data.len());
            return Err(Error::new(Code::InvalidArgument, message));
        }
        Ok(Pixels { width: width as i64, height: height as i64, channels: channels as i64, data })
    }
}

/// An image of a request.
#[derive(Clone, Debug)]
pub enum Image {
    /// A file.
    Path(PathBuf),
    /// The bytes of a JPEG, PNG or WebP file.
    Encoded(Vec<u8>),
    /// Pixels.
    Pixels(Pixels),
}

impl<P: AsRef<Path>> From<P> for Image {
    fn from(path: P) -> Image {
        Image::Path(path.as_ref().to_path_buf())
    }
}

/// Sampling and stopping; what is `None` is the manifest's.
#[derive(Clone, Debug, Default)]
pub struct Generation {
    pub max_new_tokens: Option<u32>,
    /// 0: greedy.
    pub temperature: Option<f32>,
    /// 0: off.
    pub top_k: Option<u32>,
    pub top_p: Option<f32>,
    pub min_p: Option<f32>,
    pub repetition_penalty: Option<f32>,
    pub seed: Option<u64>,
    pub stops: Vec<String>,
}

/// One question.
#[derive(Clone, Debug, Default)]
pub struct Request {
    prompt: Option<String>,
    images: Vec<Image>,
    texts: Vec<String>,
    raw_prompt: bool,
    generation: Option<Generation>,
}

impl Request {
    pub fn new() -> Request {
        Request::default()
    }

    /// Instead of the manifest's prompt.
    pub fn prompt(mut self, prompt: impl Into<String>) -> Request {
        self.prompt = Some(prompt.into());
        self
    }

    /// Adds an image: a path, or an [`Image`].
    pub fn image(mut self, image: impl Into<Image>) -> Request {
        self.images.push(image.into());
        self
    }

    /// Adds encoded bytes or pixels.
    pub fn image_data(mut self, image: Image) -> Request {
        self.images.push(image);
        self
    }

    /// Adds a label to compare images with, for models that embed.
    pub fn text(mut self, text: impl Into<String>) -> Request {
        self.texts.push(text.into());
        self
    }

    /// Takes the prompt as it is: no chat template.
    pub fn raw_prompt(mut self) -> Request {
        self.raw_prompt = true;
        self
    }

    pub fn generation(mut self, generation: Generation) -> Request {
        self.generation = Some(generation);
        self
    }
}

/// An image as C sees it; owns what it points at, in boxes that do not move with it.
pub(crate) struct CImage {
    source: Box<vlm_image_source>,
    _path: Option<CString>,
    _view: Option<Box<vlm_tensor_view>>,
    _shape: Option<Box<[i64; 3]>>,
}

impl CImage {
    /// `image` must live as long as the result is used.
    pub(crate) fn new(image: &Image) -> Result<CImage, Error> {
        let mut source = Box::new(vlm_image_source {
            struct_size: size_of::<vlm_image_source>() as u32,
            abi_version: VLM_ABI_VERSION,
            path: ptr::null(),
            encoded: ptr::null(),
            encoded_size: 0,
            pixels: ptr::null(),
            width: 0,
            height: 0,
            name: ptr::null(),
            tensor: ptr::null(),
        });
        let (mut path, mut view, mut shape) = (None, None, None);
        match image {
            Image::Path(file) => {
                let text = c_text(file.as_os_str().as_bytes())?;
                source.path = text.as_ptr();
                path = Some(text);
            }
            Image::Encoded(bytes) => {
                source.encoded = bytes.as_ptr();
                source.encoded_size = bytes.len() as u64;
            }
            Image::Pixels(pixels) => {
                let mut sizes = Box::new([pixels.height, pixels.width, pixels.channels]);
                let made = Box::new(vlm_tensor_view {
                    data: pixels.data.as_ptr() as *mut _, // read only
                    device: vlm_device { device_type: VLM_DEVICE_CPU, device_id: 0 },
                    ndim: 3,
                    dtype: vlm_data_type { code: VLM_TYPE_UINT as u8, bits: 8, lanes: 1 },
                    shape: sizes.as_mut_ptr(),
                    strides: ptr::null_mut(),
                    byte_offset: 0,
                });
                source.tensor = &*made;
                view = Some(made);
                shape = Some(sizes);
            }
        }
        Ok(CImage { source, _path: path, _view: view, _shape: shape })
    }

    pub(crate) fn as_ptr(&self) -> *const vlm_image_source {
        &*self.source
    }
}

/// Texts as C sees them.
struct CTexts {
    _owned: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl CTexts {
    fn new(texts: &[String]) -> Result<CTexts, Error> {
        let owned = texts.iter().map(|text| c_text(text.as_str())).collect::<Result<Vec<_>, _>>()?;
        let pointers = owned.iter().map(|text| text.as_ptr()).collect();
        Ok(CTexts { _owned: owned, pointers })
    }
}

/// Options as C sees them.
pub(crate) struct CGeneration {
    options: Box<vlm_generation_options>,
    _stops: CTexts,
}

impl CGeneration {
    pub(crate) fn new(given: &Generation) -> Result<CGeneration, Error> {
        let stops = CTexts::new(&given.stops)?;
        let options = Box::new(vlm_generation_options {
            struct_size: size_of::<vlm_generation_options>() as u32,
            abi_version: VLM_ABI_VERSION,
            max_new_tokens: given.max_new_tokens.map_or(0, i64::from),
            // 0 means "the manifest's" in C, and a negative number what 0 means here.
            temperature: given.temperature.map_or(0.0, |t| if t == 0.0 { -1.0 } else { t }),
            top_k: given.top_k.map_or(0, |k| if k == 0 { -1 } else { k.min(i32::MAX as u32) as i32 }),
            top_p: given.top_p.unwrap_or(0.0),
            min_p: given.min_p.unwrap_or(0.0),
            repetition_penalty: given.repetition_penalty.unwrap_or(0.0),
            stop_count: stops.pointers.len() as u32,
            seed: given.seed.unwrap_or(0),
            stops: stops.pointers.as_ptr(),
        });
        Ok(CGeneration { options, _stops: stops })
    }

    pub(crate) fn as_ptr(&self) -> *const vlm_generation_options {
        &*self.options
    }
}

/// A request as C sees it; what it points at is owned, or borrowed from the request.
pub(crate) struct CRequest<'a> {
    pub(crate) raw: vlm_generate_request,
    _prompt: Option<CString>,
    _images: Vec<CImage>,
    _pointers: Vec<*const vlm_image_source>,
    _texts: CTexts,
    _generation: Option<CGeneration>,
    _request: &'a Request,
}

impl<'a> CRequest<'a> {
    pub(crate) fn new(request: &'a Request) -> Result<CRequest<'a>, Error> {
        let prompt = request.prompt.as_ref().map(|text| c_text(text.as_str())).transpose()?;
        let images = request.images.iter().map(CImage::new).collect::<Result<Vec<_>, _>>()?;
        let pointers: Vec<_> = images.iter().map(CImage::as_ptr).collect();
        let texts = CTexts::new(&request.texts)?;
        let generation = request.generation.as_ref().map(CGeneration::new).transpose()?;
        let raw = vlm_generate_request {
            struct_size: size_of::<vlm_generate_request>() as u32,
            abi_version: VLM_ABI_VERSION,
            prompt: prompt.as_ref().map_or(ptr::null(), |text| text.as_ptr()),
            images: pointers.as_ptr(),
            image_count: pointers.len() as u32,
            raw_prompt: request.raw_prompt as u32,
            generation: generation.as_ref().map_or(ptr::null(), CGeneration::as_ptr),
            stream: None,
            user: ptr::null_mut(),
            answer_stream: None,
            texts: texts.pointers.as_ptr(),
            text_count: texts.pointers.len() as u32,
            reserved: 0,
        };
        Ok(CRequest {
            raw,
            _prompt: prompt,
            _images: images,
            _pointers: pointers,
            _texts: texts,
            _generation: generation,
            _request: request,
        })
    }
}

/// These read back what C would read, without the library: Miri can run them (bindings/rust/README.md).
#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    unsafe fn text(pointer: *const c_char) -> String {
        CStr::from_ptr(pointer).to_str().unwrap().to_string()
    }

    #[test]
    fn a_request_points_at_what_was_given_also_after_it_has_moved() {
        let pixels = Pixels::new(2, 1, 3, vec![1, 2, 3, 4, 5, 6]).unwrap();
        let request = Request::new()
            .prompt("What?")
            .image("/a/b.png")
            .image_data(Image::Encoded(vec![7, 8]))
            .image_data(Image::Pixels(pixels))
            .text("cat")
            .text("dog")
            .raw_prompt()
            .generation(Generation { stops: vec!["</s>".into()], temperature: Some(0.0), ..Generation::default() });
        let made = Box::new(CRequest::new(&request).unwrap()); // moved
        let raw = &made.raw;
        // SAFETY: everything lives as long as `made` and `request`.
        unsafe {
            assert_eq!(raw.struct_size as usize, size_of::<vlm_generate_request>());
            assert_eq!((text(raw.prompt), raw.raw_prompt), ("What?".to_string(), 1));
            let images = std::slice::from_raw_parts(raw.images, raw.image_count as usize);
            assert_eq!(images.len(), 3);
            assert_eq!(text((*images[0]).path), "/a/b.png");
            let encoded = std::slice::from_raw_parts((*images[1]).encoded, (*images[1]).encoded_size as usize);
            assert_eq!(encoded, [7, 8]);
            let view = &*(*images[2]).tensor;
            assert_eq!(std::slice::from_raw_parts(view.shape, view.ndim as usize), [1, 2, 3]);
            assert_eq!(std::slice::from_raw_parts(view.data as *const u8, 6), [1, 2, 3, 4, 5, 6]);
            let texts = std::slice::from_raw_parts(raw.texts, raw.text_count as usize);
            assert_eq!((text(texts[0]), text(texts[1])), ("cat".to_string(), "dog".to_string()));
            let options = &*raw.generation;
            assert_eq!((options.temperature, options.top_k, options.max_new_tokens), (-1.0, 0, 0));
            assert_eq!(text(*options.stops), "</s>");
        }
    }

    #[test]
    fn what_c_cannot_take_is_refused() {
        for request in [
            Request::new().prompt("a\0b"),
            Request::new().image("a\0b"),
            Request::new().text("a\0b"),
            Request::new().generation(Generation { stops: vec!["a\0b".into()], ..Generation::default() }),
        ] {
            assert_eq!(CRequest::new(&request).err().map(|error| error.code()), Some(Code::InvalidArgument));
        }
        assert!(Pixels::new(2, 1, 3, vec![0; 5]).is_err());
        assert!(Pixels::new(usize::MAX, 2, 1, vec![0; 5]).is_err());
    }
}
