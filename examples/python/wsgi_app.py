"""A WSGI application that knows nothing of sidelight; gunicorn does all that is needed."""


def app(environ, start_response):
    """Answers every request."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello\n"]
