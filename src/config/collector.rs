//! Where spans are sent, and with which headers, as the exporter reads it: what is accepted here can be used.
//! Unit: one value.

use super::units::Refused;
use crate::export::endpoint::{self, Endpoint, EndpointError, Given, Protocol};

/// Where spans can be sent to, with the path that it means. TLS is refused once all layers are known.
pub(super) fn endpoint(text: &str, given: Given) -> Result<String, Refused> {
    endpoint::normalized(text, given).map_err(|error| refused(&error))
}

/// An endpoint that is given to sidecars in a variable: `$(HOST_IP)` in it is replaced in the pod.
pub(super) fn endpoint_template(text: &str) -> Result<String, Refused> {
    let example = endpoint::without_variables(text);
    match Endpoint::new(&example, Protocol::Http, &[]) {
        Ok(_) => Ok(text.to_owned()),
        // as it is written: the example stands nowhere
        Err(EndpointError::Tls(_)) => Err(refused(&EndpointError::Tls(text.to_owned()))),
        Err(error) => Err(refused(&error)),
    }
}

/// A header that may stand in a request.
pub(super) fn header(name: &str, value: &str) -> Result<String, Refused> {
    match endpoint::header(name, value) {
        Ok(_) => Ok(value.to_owned()),
        Err(error) => Err(refused(&error)),
    }
}

fn refused(error: &EndpointError) -> Refused {
    Refused::new(error.to_string(), error.hint())
}
