require "greeting"

def handler(event:, context:)
  { text: Greeting.to(event["name"]) }
end
