"""Print the label of a parcel."""

from markupsafe import escape


def handler(event, context):
    return {"label": f"<p>{escape(event['address'])}</p>"}
