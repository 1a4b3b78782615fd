from markupsafe import escape


def handler(event, context):
    return str(escape(event["text"]))
