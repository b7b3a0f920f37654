# Sidekiq 6.4 and the Redis gem 4.8, which Debian 12 has together, have much to say about one another.
Redis.silence_deprecations = true if Redis.respond_to?(:silence_deprecations=)
