//! Keeping a process small that works hard now and then.

use crate::sys;

/// Makes all threads share one heap, for a process whose threads do little at the same time. glibc gives
/// each thread its own otherwise, and each keeps what it once needed (mallopt(3), `M_ARENA_MAX`). To be
/// called before the first thread is started.
pub fn share_one_heap() {
    sys::one_arena();
}

/// Gives back what was freed (malloc_trim(3)): otherwise a heap keeps everything below its last piece
/// that is in use.
pub fn give_back() {
    sys::trim_heap();
}
