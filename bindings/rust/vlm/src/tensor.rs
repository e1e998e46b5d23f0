//! Tensors of the library: f32 on the CPU, compact.

use std::ptr::NonNull;
use vlm_sys::*;

/// Memory of the library, shared by clones.
pub struct Tensor {
    handle: NonNull<vlm_managed_tensor>,
}

// SAFETY: the memory is only read, and freed by [any] thread.
unsafe impl Send for Tensor {}
unsafe impl Sync for Tensor {}

impl Tensor {
    pub(crate) fn own(handle: *mut vlm_managed_tensor) -> Tensor {
        Tensor { handle: NonNull::new(handle).expect("a tensor after success") }
    }

    /// Sizes, row-major.
    pub fn shape(&self) -> &[i64] {
        // SAFETY: the view and its shape live as long as the tensor.
        unsafe {
            let view = &self.handle.as_ref().view;
            std::slice::from_raw_parts(view.shape, view.ndim as usize)
        }
    }

    /// All elements.
    pub fn data(&self) -> &[f32] {
        let count = self.shape().iter().product::<i64>() as usize;
        // SAFETY: vlm/host.h: f32 on the CPU and compact; an empty slice needs no memory.
        unsafe {
            let view = &self.handle.as_ref().view;
            if count == 0 {
                return &[];
            }
            std::slice::from_raw_parts((view.data as *const u8).add(view.byte_offset as usize) as *const f32, count)
        }
    }

    /// Gives the tensor away as a DLPack `DLManagedTensor`, whose `deleter` the receiver calls.
    pub fn into_dlpack(self) -> *mut vlm_managed_tensor {
        let handle = self.handle.as_ptr();
        std::mem::forget(self);
        handle
    }
}

impl Clone for Tensor {
    fn clone(&self) -> Tensor {
        // SAFETY: the tensor is alive and was made by the library. It fails only without memory, as Box does.
        Tensor::own(unsafe { vlm_managed_tensor_share(self.handle.as_ptr()) })
    }
}

impl Drop for Tensor {
    fn drop(&mut self) {
        // SAFETY: owned, and dropped once.
        unsafe { vlm_managed_tensor_destroy(self.handle.as_ptr()) }
    }
}
