class ApplicationController < ActionController::Base
  # What pgguard cannot have served in time it refuses. Nothing was done, and the connection is good: say so, and when to come again.
  rescue_from ActiveRecord::StatementInvalid do |error|
    raise error unless error.cause.is_a?(PG::InsufficientResources)

    response.set_header("Retry-After", "2")
    render plain: "busy, please try again", status: :service_unavailable
  end
end
