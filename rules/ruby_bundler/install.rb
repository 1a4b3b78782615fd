# frozen_string_literal: true

# Runs Bundler's install for Lambda's Ruby and processor; arguments are those of bundle install.
# Gems that have something to compile are appended to the file LAMBDABUILD_NATIVE; they are compiled only when
# LAMBDABUILD_COMPILE is yes.

require_relative "target"
require "rubygems/ext"

module RecordsExtensions
  def build_extensions
    return if @spec.extensions.empty?

    own = Gem::Specification.stubs.select(&:default_gem?).map(&:name).include?(@spec.name)
    File.write(ENV.fetch("LAMBDABUILD_NATIVE"), "#{@spec.full_name} #{own}\n", mode: "a")
    super if ENV.fetch("LAMBDABUILD_COMPILE") == "yes"
  end
end
Gem::Ext::Builder.prepend(RecordsExtensions)

# The gems that come with this machine's Ruby are not those of another series.
module HidesDefaultGems
  def all_specs
    super.reject { |spec| spec.default_gem? && spec.name != "bundler" }
  end
end
Bundler::RubygemsIntegration.prepend(HidesDefaultGems) unless LambdaTarget::OWN_SERIES

begin
  require "bundler/cli"
  Bundler::CLI.start(["install", *ARGV])
rescue Bundler::BundlerError => error
  puts error.message, "(#{error.class.name})"
  exit error.status_code
end
