# Write the newsletter to one customer.

require "letters"

def handler(event:, context:)
  { text: Letters.newsletter(name: event["name"], offers: event["offers"]) }
end
