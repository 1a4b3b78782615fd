# my_lambda_app/lambda_function.py
def lambda_handler(event, context):
    """AWS Lambda entry point - MUST be inside the package"""
    return {"statusCode": 200, "body": "Hello from Lambda!"}
