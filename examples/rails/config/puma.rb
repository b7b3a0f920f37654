threads_count = ENV.fetch("RAILS_MAX_THREADS", 5).to_i
threads threads_count, threads_count
workers ENV.fetch("WEB_CONCURRENCY", 2).to_i
bind "tcp://#{ENV.fetch("LISTEN", "127.0.0.1")}:#{ENV.fetch("PORT", 3000)}"
preload_app!
