//! The admission webhook around `inject`: TLS, certificates, reviews, the leader's duties. Whatever goes wrong
//! the answer is "allowed": injection never keeps a pod from being admitted. Unit: one review.
