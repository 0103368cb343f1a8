//! pynenc macros
