"""Flask's development server: flask --app flask_app run"""

import sidelight_handler
from flask import Flask

app = Flask(__name__)
sidelight_handler.install()


@app.get("/users/<int:number>")
def user(number):
    """Answers and logs a warning, which no handler of the application takes."""
    app.logger.warning("user %d was read", number)
    return "hello\n"
