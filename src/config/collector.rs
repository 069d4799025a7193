//! Checks the endpoint and the headers of the exporter with the exporter's own parser, so that it
//! can use every accepted value. Unit: one value.

use super::units::Refused;
use crate::export::endpoint::{self, Endpoint, EndpointError, Given, Protocol};

/// Checks an endpoint and adds its default path. TLS is refused later, when all layers are known.
pub(super) fn endpoint(text: &str, given: Given) -> Result<String, Refused> {
    endpoint::normalized(text, given).map_err(|error| refused(&error))
}

/// Checks an endpoint that sidecars get in a variable, in which `$(HOST_IP)` is replaced in the
/// pod.
pub(super) fn endpoint_template(text: &str) -> Result<String, Refused> {
    let example = endpoint::without_variables(text);
    match Endpoint::new(&example, Protocol::Http, &[]) {
        Ok(_) => Ok(text.to_owned()),
        // returns the text as written: the example address must not appear in it
        Err(EndpointError::Tls(_)) => Err(refused(&EndpointError::Tls(text.to_owned()))),
        Err(error) => Err(refused(&error)),
    }
}

/// Checks a header of a request.
pub(super) fn header(name: &str, value: &str) -> Result<String, Refused> {
    match endpoint::header(name, value) {
        Ok(_) => Ok(value.to_owned()),
        Err(error) => Err(refused(&error)),
    }
}

fn refused(error: &EndpointError) -> Refused {
    Refused::new(error.to_string(), error.hint())
}
