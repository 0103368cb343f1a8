//! pynenc
