//! pynenc mem
