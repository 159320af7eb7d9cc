"""Elementor Pro forms: its messages, in the shape it documents."""

from tests.config.presets.case import FORM, Case, form_body

CASES: list[Case] = []


def _elementor(name: str, fields: dict[str, str], expect: dict[str, str]) -> None:
    CASES.append(
        Case(
            preset="elementor",
            name=name,
            content_type=FORM,
            body=form_body(fields),
            query="token=el%2Dtoken",
            secret="el-token",
            expect=expect,
        )
    )


_elementor(
    "plain labels, one with a trailing blank",
    {
        "Your Name": "Rosalind Achterberg",
        "Email ": "rosalind@example.org",
        "Phone": "+31 6 12345678",
        "Message": "Hello",
        "Company name": "Achterberg BV",
        "Date": "September 20, 2026",
        "Time": "8:25 am",
        "Page URL": "https://www.example.com/contact/",
        "form_id": "90ad4c1",
        "form_name": "Contact",
    },
    {
        "email": "rosalind@example.org",
        "mobile_phone_number": "+31612345678",
        "full_name": "Rosalind Achterberg",
    },
)


_elementor(
    "advanced data: types in any language",
    {
        "form[id]": "5f00d1",
        "form[name]": "Inscription",
        **{
            f"fields[{key}][{part}]": text
            for key, parts in {
                "name": ("text", "Nom", "Nguyễn"),
                "field_a1": ("text", "Prénom", "Thảo"),
                "email": ("email", "Où vous écrire ?", "thao@example.net"),
                "field_b2": ("tel", "Où vous appeler ?", "+33 6 39 98 00 11"),
                "field_c3": ("acceptance", "E-mail", "on"),
            }.items()
            for part, text in zip(
                ("id", "type", "title", "value", "raw_value", "required"),
                (key, parts[0], parts[1], parts[2], parts[2], "0"),
                strict=True,
            )
        },
        "meta[date][title]": "Date",
        "meta[date][value]": "20 septembre 2026",
    },
    {
        "email": "thao@example.net",
        "mobile_phone_number": "+33639980011",
        "full_name": "Thảo Nguyễn",
    },
)


_elementor(
    "a popup whose fields have no labels",
    {"No Label email": "popup@example.org", "No Label name": "Pia Popup", "form_name": "Popup"},
    {"email": "popup@example.org", "full_name": "Pia Popup"},
)
