"""Bare Flask: a view that calls upstream itself, in the visitor's request, and keeps nothing."""

import os

import requests
from flask import Flask, request

app = Flask(__name__)
session = requests.Session()


@app.post("/signup")
def sign_up() -> tuple[dict[str, str], int]:
    """Map the form, call upstream, and answer what upstream answered."""
    form = request.form
    profile = {
        "email": form["email"],
        "mobile_phone_number": form["phone"],
        "full_name": f"{form['first_name']} {form['last_name']}",
    }
    proof = {"Authorization": f"Bearer {os.environ['OCAMBA_TOKEN']}"}
    answer = session.post(os.environ["UPSTREAM"], json=profile, headers=proof, timeout=10)
    return {"state": "sent" if answer.ok else "failed"}, 202 if answer.ok else 502
