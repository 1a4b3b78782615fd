"""Tell a customer what happened to an order."""


def handler(event, context):
    return {"message": f"Dear {event['name']}, your order {event['id']} is on its way."}
