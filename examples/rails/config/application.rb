require_relative "boot"

require "rails"
require "active_record/railtie"
require "action_controller/railtie"
require "action_view/railtie"

Bundler.require(*Rails.groups)

module Shop
  class Application < Rails::Application
    config.load_defaults 6.1
    config.cache_classes = config.eager_load = Rails.env.production?
    config.consider_all_requests_local = !Rails.env.production?
    config.logger = ActiveSupport::Logger.new($stdout)
    config.log_level = ENV.fetch("RAILS_LOG_LEVEL", "info")
    # A page opens in one process and is posted to another: all must have the same key. This one is for your own machine.
    config.secret_key_base = ENV.fetch("SECRET_KEY_BASE", "an example that nobody else can reach " * 2)
    config.active_record.dump_schema_after_migration = !Rails.env.production?
    config.hosts.clear
  end
end
