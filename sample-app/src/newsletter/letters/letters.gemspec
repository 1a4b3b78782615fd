Gem::Specification.new do |gem|
  gem.name = "letters"
  gem.version = "1.0.0"
  gem.summary = "How the shop writes to its customers"
  gem.authors = ["Orders"]
  gem.files = ["lib/letters.rb"]
end
