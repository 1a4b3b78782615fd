# frozen_string_literal: true

# Makes RubyGems and Bundler choose gems for Lambda's Ruby and processor, whatever machine this is.
# LAMBDABUILD_PLATFORM is such as "aarch64-linux", LAMBDABUILD_RUBY such as "3.4.99".

require "bundler"

module LambdaTarget
  PLATFORM = Gem::Platform.new(ENV.fetch("LAMBDABUILD_PLATFORM"))
  RUBY = Gem::Version.new(ENV.fetch("LAMBDABUILD_RUBY"))
  MACHINE_RUBY = Gem::Version.new(RUBY_VERSION)
  OWN_SERIES = MACHINE_RUBY.segments.first(2) == RUBY.segments.first(2)
end

Gem::Platform.define_singleton_method(:local) { |*| LambdaTarget::PLATFORM }
Gem.platforms = [Gem::Platform::RUBY, LambdaTarget::PLATFORM]
Gem.define_singleton_method(:ruby_version) { LambdaTarget::RUBY }
# A patchlevel of -1 fits any that a Gemfile names.
Bundler::RubyVersion.define_singleton_method(:system) { new(LambdaTarget::RUBY.to_s, "-1", "ruby", LambdaTarget::RUBY.to_s) }
