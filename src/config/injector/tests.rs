//! The injector's file as it is used, and all of its errors at once.

use super::*;
