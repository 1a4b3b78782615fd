# frozen_string_literal: true

# Tells what a Gemfile names beside registries, as JSON: evaluates it where it lies and writes nothing.
# Arguments: the Gemfile, and the runtime's Ruby such as "3.4".

require "bundler"
require "json"

EPOCH = Time.utc(1980, 1, 1)

def local_gem(spec, folder)
  inside = Dir.chdir(folder) { spec.files + spec.require_paths.flat_map { |path| Dir.glob("#{path}/**/*") } }
  spec.date = EPOCH
  {
    "name" => spec.name, "version" => spec.version.to_s, "full_name" => spec.full_name, "folder" => folder,
    "files" => inside.uniq.select { |path| File.file?(File.join(folder, path)) }.sort,
    "gemspecs" => Dir.glob("*.gemspec", base: folder).sort, "specification" => spec.to_ruby,
    "native" => !spec.extensions.empty?
  }
end

def local_source(source, root)
  folder = File.expand_path(source.path.to_s, root)
  gems = source.specs.to_a.uniq(&:full_name).map { |spec| local_gem(spec, File.realpath(spec.full_gem_path)) }
  { "written" => source.options["path"].to_s, "folder" => folder, "gems" => gems }
end

# The newest Ruby of the runtime's series that the Gemfile allows; nil when it allows none.
def ruby_of(series, wanted)
  asked = wanted ? Gem::Requirement.new(wanted.versions) : Gem::Requirement.default
  99.downto(0).map { |patch| "#{series}.#{patch}" }.find { |version| asked.satisfied_by?(Gem::Version.new(version)) }
end

def look(gemfile, series)
  root = File.dirname(gemfile)
  definition = Bundler::Dsl.evaluate(Pathname.new(gemfile), nil, {})
  wanted = definition.ruby_version
  {
    "ruby" => ruby_of(series, wanted), "wanted_ruby" => wanted && wanted.versions.join(", "),
    "machine" => { "ruby" => RUBY_VERSION, "cpu" => RbConfig::CONFIG["host_cpu"], "os" => RbConfig::CONFIG["host_os"] },
    "gemfiles" => definition.gemfiles.map(&:to_s),
    "local" => definition.send(:sources).path_sources.map { |source| local_source(source, root) }
  }
end

# Bundler's evaluation of a Gemfile may print; what we say is the last line.
begin
  puts JSON.generate(look(*ARGV))
rescue Bundler::BundlerError => error
  told = error.message.match(/^\s*#\s+from\s+(.*?):(\d+)$/)
  line = told ? told[2] : Array(error.backtrace).join("\n")[/Gemfile:(\d+)/, 1]
  puts JSON.generate("error" => error.message, "file" => told && told[1], "line" => line)
end
