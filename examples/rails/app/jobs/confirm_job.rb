class ConfirmJob
  include Sidekiq::Job

  def perform(order_id)
    Order.find(order_id).update!(status: "confirmed")
  end
end
